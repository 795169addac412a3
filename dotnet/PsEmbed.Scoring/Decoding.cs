using System;
using System.Text;

namespace PsEmbed.Scoring
{
    /// <summary>Bytes as text: section "Decode" of docs/contract.md.</summary>
    public static class Decoding
    {
        /// <summary>A larger input is refused unread.</summary>
        public const int MaxBytes = 64 << 20;

        private const char Fault = '\uFFFD';
        private static readonly Encoding Strict = new UTF8Encoding(false, true);

        /// <summary>Return the text, null where the bytes are binary, and the name of the encoding.</summary>
        public static (string Text, string Encoding) Decode(byte[] data)
        {
            if (data.Length == 0) return ("", "empty");
            if (StartsWith(data, 0xEF, 0xBB, 0xBF))
                return Marked(Encoding.UTF8.GetString(data, 3, data.Length - 3), "utf-8-bom");
            if (StartsWith(data, 0xFF, 0xFE)) return Marked(Utf16(data, 2, 0, out _), "utf-16-le-bom");
            if (StartsWith(data, 0xFE, 0xFF)) return Marked(Utf16(data, 2, 1, out _), "utf-16-be-bom");
            if (Array.IndexOf(data, (byte)0) >= 0) return WithNuls(data);
            int controls = 0, beyondAscii = 0;
            foreach (var value in data)
            {
                if (IsControl(value)) controls++;
                if (value >= 0x80) beyondAscii++;
            }
            if (20L * (data.Length - controls) < 19L * data.Length) return (null, "binary");
            if (beyondAscii == 0) return (Encoding.ASCII.GetString(data), "ascii");
            try
            {
                return (Strict.GetString(data), "utf-8");
            }
            catch (DecoderFallbackException)
            {
                return (Windows1252(data), "windows-1252");
            }
        }

        /// <summary>Replace each half of a surrogate pair without its partner: no decoding gives one.</summary>
        public static string WellFormed(string text)
        {
            StringBuilder mended = null;
            for (var i = 0; i < text.Length; i++)
            {
                if (!char.IsSurrogate(text[i])) continue;
                if (char.IsHighSurrogate(text[i]) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1])) i++;
                else (mended = mended ?? new StringBuilder(text))[i] = Fault;
            }
            return mended == null ? text : mended.ToString();
        }

        private static bool StartsWith(byte[] data, params byte[] mark)
        {
            return data.AsSpan().StartsWith(mark);
        }

        private static (string, string) Marked(string text, string name)
        {
            return text.IndexOf('\0') >= 0 ? (null, "binary") : (text, name);
        }

        private static bool IsControl(byte value)
        {
            return value <= 0x07 || (value >= 0x0E && value <= 0x19) || (value >= 0x1C && value <= 0x1F)
                || value == 0x7F;
        }

        private static (string, string) WithNuls(byte[] data)
        {
            var nuls = new int[2];  // at even and at odd offsets
            for (var i = 0; i < data.Length; i++) if (data[i] == 0) nuls[i % 2]++;
            int high = nuls[0] == 0 ? 1 : 0, units = data.Length / 2;
            if (nuls[1 - high] > 0 || nuls[high] < 2 || 5L * nuls[high] < units) return (null, "binary");
            var text = Utf16(data, 0, 1 - high, out var hasFaults);
            return hasFaults ? (null, "binary") : (text, high == 1 ? "utf-16-le" : "utf-16-be");
        }

        /// <summary>
        /// Decode two bytes a unit, the low one first (low 0) or second (low 1). A first half of a pair with a
        /// single byte after it, at the end, is one fault together.
        /// </summary>
        private static string Utf16(byte[] data, int start, int low, out bool hasFaults)
        {
            var text = new StringBuilder((data.Length - start) / 2 + 1);
            for (var i = start; i + 1 < data.Length; i += 2)
                text.Append((char)(data[i + low] | data[i + 1 - low] << 8));
            var isOdd = (data.Length - start) % 2 == 1;
            if (isOdd && !(text.Length > 0 && char.IsHighSurrogate(text[text.Length - 1]))) text.Append(Fault);
            var raw = text.ToString();
            var mended = WellFormed(raw);
            hasFaults = isOdd || !ReferenceEquals(raw, mended);
            return mended;
        }

        private static string Windows1252(byte[] data)
        {
            var text = new char[data.Length];
            for (var i = 0; i < data.Length; i++)
                text[i] = data[i] >= 0x80 && data[i] < 0xA0 ? Tables.Windows1252[data[i] - 0x80] : (char)data[i];
            return new string(text);
        }
    }
}
