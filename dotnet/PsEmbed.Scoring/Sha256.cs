using System;
using System.Text;

namespace PsEmbed.Scoring
{
    /// <summary>
    /// SHA-256 (FIPS 180-4). The platform's own calls OpenSSL, of which the runtime of the proof wants a version
    /// that no system has any more.
    /// </summary>
    public static class Sha256
    {
        private static readonly uint[] Rounds = Fractions(64, Math.Cbrt), Initial = Fractions(8, Math.Sqrt);

        /// <summary>Return the hash in lower-case hexadecimal.</summary>
        public static string Hex(byte[] data)
        {
            var state = (uint[])Initial.Clone();
            var whole = data.Length / 64 * 64;
            for (var at = 0; at < whole; at += 64) Compress(state, data, at);
            var rest = new byte[data.Length - whole < 56 ? 64 : 128];
            Array.Copy(data, whole, rest, 0, data.Length - whole);
            rest[data.Length - whole] = 0x80;
            var bits = 8L * data.Length;
            for (var i = 1; i <= 8; i++, bits >>= 8) rest[rest.Length - i] = (byte)bits;
            for (var at = 0; at < rest.Length; at += 64) Compress(state, rest, at);
            var hex = new StringBuilder(64);
            foreach (var word in state) hex.Append(word.ToString("x8"));
            return hex.ToString();
        }

        /// <summary>Return the first 32 bits of the fractions of the roots of the first primes.</summary>
        private static uint[] Fractions(int count, Func<double, double> root)
        {
            var words = new uint[count];
            for (int n = 0, candidate = 2; n < count; candidate++)
            {
                var isPrime = true;
                for (var divisor = 2; divisor * divisor <= candidate; divisor++) isPrime &= candidate % divisor > 0;
                if (isPrime) words[n++] = (uint)(long)(root(candidate) % 1 * 4294967296.0);
            }
            return words;
        }

        private static void Compress(uint[] state, byte[] data, int at)
        {
            var w = new uint[64];
            for (var i = 0; i < 16; i++, at += 4)
                w[i] = (uint)(data[at] << 24 | data[at + 1] << 16 | data[at + 2] << 8 | data[at + 3]);
            for (var i = 16; i < 64; i++)
                w[i] = w[i - 16] + w[i - 7] + (Turn(w[i - 15], 7) ^ Turn(w[i - 15], 18) ^ w[i - 15] >> 3)
                    + (Turn(w[i - 2], 17) ^ Turn(w[i - 2], 19) ^ w[i - 2] >> 10);
            var s = (uint[])state.Clone();
            for (var i = 0; i < 64; i++)
            {
                uint a = s[0], e = s[4];
                var first = s[7] + (Turn(e, 6) ^ Turn(e, 11) ^ Turn(e, 25)) + (e & s[5] ^ ~e & s[6]) + Rounds[i] + w[i];
                var second = (Turn(a, 2) ^ Turn(a, 13) ^ Turn(a, 22)) + (a & s[1] ^ a & s[2] ^ s[1] & s[2]);
                Array.Copy(s, 0, s, 1, 7);
                s[4] += first;
                s[0] = first + second;
            }
            for (var i = 0; i < 8; i++) state[i] += s[i];
        }

        private static uint Turn(uint word, int bits)
        {
            return word >> bits | word << 32 - bits;
        }
    }
}
