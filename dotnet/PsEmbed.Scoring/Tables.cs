using System;
using System.Collections.Generic;
using System.Globalization;

namespace PsEmbed.Scoring
{
    /// <summary>The tables of docs/contract.md, which Tables.Data.cs holds as that page does.</summary>
    internal static partial class Tables
    {
        internal static readonly char[] SingleQuotes = Characters(SingleQuotesData);
        internal static readonly char[] DoubleQuotes = Characters(DoubleQuotesData);
        internal static readonly char[] Windows1252 = Characters(Windows1252Data);
        private static readonly bool[] WhiteSpace = WhiteSpaceOf();

        internal static bool IsWhiteSpace(char c)
        {
            return WhiteSpace[c];
        }

        /// <summary>Return what each character becomes: lower case, digits as *, and first of all `first`.</summary>
        internal static char[] Normalisation(IEnumerable<KeyValuePair<char, char>> first)
        {
            var map = new char[char.MaxValue + 1];
            for (var code = 0; code < map.Length; code++) map[code] = (char)code;
            foreach (var entry in Entries(LowerCaseData)) map[entry.Code] = (char)entry.Image;
            for (var digit = '0'; digit <= '9'; digit++) map[digit] = '*';
            foreach (var pair in first) map[pair.Key] = pair.Value;
            return map;
        }

        private static bool[] WhiteSpaceOf()
        {
            var map = new bool[char.MaxValue + 1];
            foreach (var entry in Entries(WhiteSpaceData)) map[entry.Code] = true;
            return map;
        }

        private static char[] Characters(string data)
        {
            return Array.ConvertAll(Words(data), word => (char)Hex(word));
        }

        /// <summary>Yield the code points of entries FIRST[-LAST[/STEP]][:IMAGE], each with its image.</summary>
        private static IEnumerable<(int Code, int Image)> Entries(string data)
        {
            foreach (var entry in Words(data))
            {
                var sides = entry.Split(':');
                var steps = sides[0].Split('/');
                var range = steps[0].Split('-');
                int first = Hex(range[0]), last = Hex(range[range.Length - 1]);
                var image = sides.Length > 1 ? Hex(sides[1]) : first;
                var step = steps.Length > 1 ? Hex(steps[1]) : 1;
                for (var code = first; code <= last; code += step) yield return (code, image + code - first);
            }
        }

        private static string[] Words(string data)
        {
            return data.Split(new[] { ' ' }, StringSplitOptions.RemoveEmptyEntries);
        }

        private static int Hex(string digits)
        {
            return int.Parse(digits, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
        }
    }
}
