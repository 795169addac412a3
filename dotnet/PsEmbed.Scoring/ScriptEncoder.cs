using System;
using System.Collections.Generic;
using System.Linq;
using System.Text.Json;
using System.Text.RegularExpressions;

namespace PsEmbed.Scoring
{
    /// <summary>The two rows of ids of one text, without padding.</summary>
    public struct Row
    {
        /// <summary>Ids of tokens and of characters, each cut to its length.</summary>
        public int[] Tokens, Characters;
    }

    /// <summary>Clean texts as ids, by the rules and the vocabulary of tokenizer.json.</summary>
    public sealed class ScriptEncoder
    {
        private const int Format = 1, Other = 96;
        private readonly Regex pattern;
        private readonly char[] normalised;
        private readonly int tokenChars, readChars, unknown;
        private readonly Dictionary<string, int> vocabulary = new Dictionary<string, int>(StringComparer.Ordinal);

        internal ScriptEncoder(JsonElement rules)
        {
            if (rules.GetProperty("format").GetInt32() != Format)
                throw new ModelException($"tokenizer.json: this scorer reads format {Format}");
            pattern = new Regex(rules.GetProperty("pattern").GetString(), RegexOptions.Compiled);
            normalised = Tables.Normalisation(rules.GetProperty("characters").EnumerateObject()
                .Select(pair => new KeyValuePair<char, char>(pair.Name[0], pair.Value.GetString()[0])));
            tokenChars = rules.GetProperty("token_chars").GetInt32();
            readChars = rules.GetProperty("read_chars").GetInt32();
            unknown = rules.GetProperty("unknown").GetInt32();
            Pad = rules.GetProperty("pad").GetInt32();
            TokenLength = Length(rules, "token_length");
            CharLength = Length(rules, "char_length");
            var id = rules.GetProperty("first").GetInt32();
            foreach (var token in rules.GetProperty("vocabulary").EnumerateArray())
                if (!vocabulary.TryAdd(token.GetString(), id++))
                    throw new ModelException("tokenizer.json: a token comes twice in the vocabulary");
        }

        /// <summary>Ids of the longest row of tokens and of characters.</summary>
        public int TokenLength { get; }

        /// <inheritdoc cref="TokenLength"/>
        public int CharLength { get; }

        /// <summary>What rows are filled up with at their end.</summary>
        public int Pad { get; }

        /// <summary>Return the rows of a clean text.</summary>
        public Row Encode(string cleaned)
        {
            var tokens = Tokens(cleaned).Select(token => vocabulary.TryGetValue(token, out var id) ? id : unknown);
            return new Row { Tokens = Ends(tokens.ToArray(), TokenLength), Characters = CharacterIds(cleaned) };
        }

        /// <summary>Yield the tokens of a clean text, each cut to token_chars.</summary>
        public IEnumerable<string> Tokens(string cleaned)
        {
            var characters = Ends(cleaned, readChars).ToCharArray();
            for (var i = 0; i < characters.Length; i++) characters[i] = normalised[characters[i]];
            for (var match = pattern.Match(new string(characters)); match.Success; match = match.NextMatch())
                yield return match.Length > tokenChars ? match.Value.Substring(0, tokenChars) : match.Value;
        }

        private static int Length(JsonElement rules, string name)
        {
            var length = rules.GetProperty(name).GetInt32();
            return length >= 4 ? length : throw new ModelException($"tokenizer.json: {name} is {length}");
        }

        private int[] CharacterIds(string cleaned)
        {
            var seen = Ends(cleaned, CharLength);
            var ids = new List<int>(seen.Length);
            foreach (var c in seen)
                if (!char.IsLowSurrogate(c))  // the second half of a character that has its id
                    ids.Add(c >= ' ' && c <= '~' ? c - 31 : c >= '\t' && c <= '\r' ? 1 : Other);
            return ids.ToArray();
        }

        private static int[] Ends(int[] ids, int length)
        {
            if (ids.Length <= length) return ids;
            var cut = new int[length];
            Array.Copy(ids, cut, length - length / 4);
            Array.Copy(ids, ids.Length - length / 4, cut, length - length / 4, length / 4);
            return cut;
        }

        /// <summary>Cut a text to its ends; lengths are in characters, and a surrogate pair is one.</summary>
        private static string Ends(string text, int length)
        {
            if (text.Length <= length || text.Length - text.Count(char.IsLowSurrogate) <= length) return text;
            int head = 0, tail = text.Length;
            for (var left = length - length / 4; left > 0; left--)
                head += char.IsSurrogatePair(text, head) ? 2 : 1;
            for (var left = length / 4; left > 0; left--)
                tail -= char.IsLowSurrogate(text[tail - 1]) ? 2 : 1;
            return text.Substring(0, head) + text.Substring(tail);
        }
    }
}
