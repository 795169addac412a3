using System;
using System.Collections.Generic;
using System.IO;
using System.IO.Compression;
using System.Linq;
using System.Text;
using System.Text.Json;
using PsEmbed.Scoring;

namespace PsEmbed.Checks
{
    /// <summary>One golden record: an input, and what is to come of it.</summary>
    public sealed class Golden
    {
        private const double Tolerance = 1e-5, CalibratedTolerance = 1e-12;
        private const int Small = 100000;  // characters or bytes, which are read once more in each culture
        private readonly JsonElement expected;
        private readonly bool isText;

        private Golden(JsonElement record)
        {
            expected = record;
            isText = record.GetProperty("kind").GetString() == "text";
        }

        /// <summary>Whether its input is short.</summary>
        public bool IsSmall => isText ? Text().Length < Small : Bytes().Length < Small;

        /// <summary>Read the records of a folder; the first line is a header.</summary>
        public static List<Golden> Read(string folder)
        {
            using (var file = File.OpenRead(Path.Combine(folder, "golden.jsonl.gz")))
            using (var lines = new StreamReader(new GZipStream(file, CompressionMode.Decompress), Encoding.ASCII))
                return lines.ReadToEnd().Split('\n').Skip(1).Where(line => line.Length > 0)
                    .Select(line => new Golden(JsonDocument.Parse(line).RootElement)).ToList();
        }

        /// <summary>Compare what comes before the network, which has to be the same to the bit.</summary>
        public void CheckExact(ScriptEncoder encoder)
        {
            if (!isText) CheckDecoded();
            else CheckEncoded(Cleaning.Clean(Text()), encoder);
        }

        /// <summary>Score all records together, and compare scores, calibrated scores and verdicts.</summary>
        public static void CheckScores(List<Golden> records, Detector detector)
        {
            var ordered = records.OrderBy(record => record.isText).ToList();
            var files = ordered.Where(record => !record.isText).Select(record => record.Bytes());
            var texts = ordered.Where(record => record.isText).Select(record => record.Text());
            var next = 0;
            foreach (var verdict in detector.Score(files).Concat(detector.Score(texts)))
                ordered[next++].CheckScore(verdict, detector);
            Check.Same("number of verdicts", records.Count, next);
        }

        private void CheckScore(Verdict verdict, Detector detector)
        {
            var scored = expected.GetProperty("score").ValueKind == JsonValueKind.Number;
            if (!scored)
            {
                Check.Same("score", null, verdict.Score);
                return;
            }
            if (verdict.Score == null && isText && Cleaning.Clean(Text()) == "") return;
            Near("score", verdict.Score.Value, Tolerance);
            Near("calibrated", detector.Calibrate(expected.GetProperty("score").GetSingle()), CalibratedTolerance);
            Check.Same("calibrated", detector.Calibrate(verdict.Score.Value), verdict.Calibrated.Value);
            Check.Same("malicious", expected.GetProperty("malicious").GetBoolean(), verdict.Malicious.Value);
        }

        private void Near(string name, double found, double tolerance)
        {
            var wanted = expected.GetProperty(name).GetDouble();
            if (!(Math.Abs(wanted - found) <= tolerance)) throw new Exception($"{name}: expected {wanted}, found {found}");
        }

        private void CheckDecoded()
        {
            var data = Bytes();
            var (text, encoding) = data.Length > Decoding.MaxBytes ? (null, "") : Decoding.Decode(data);
            Same("encoding", encoding);
            Check.Same("text", expected.GetProperty("text_sha256").ValueKind == JsonValueKind.Null, text == null);
            if (text != null) CheckText("text", text);
        }

        private void CheckEncoded(string cleaned, ScriptEncoder encoder)
        {
            CheckText("cleaned", cleaned);
            var tokens = encoder.Tokens(cleaned).ToList();
            Check.Same("tokens", expected.GetProperty("tokens").GetInt32(), tokens.Count);
            Same("tokens_sha256", Hash(string.Join("\n", tokens)));
            var row = encoder.Encode(cleaned);
            CheckIds("token_ids", row.Tokens);
            CheckIds("character_ids", row.Characters);
        }

        private void CheckText(string name, string text)
        {
            Check.Same($"{name}_length", expected.GetProperty($"{name}_length").GetInt32(), text.Length - text.Count(char.IsLowSurrogate));
            Same($"{name}_sha256", Hash(text));
        }

        private void CheckIds(string name, int[] ids)
        {
            if (expected.TryGetProperty(name, out var written))
                Check.Same(name, string.Join(" ", written.EnumerateArray()), string.Join(" ", ids));
            var bytes = ids.SelectMany(id => new[] { (byte)id, (byte)(id >> 8), (byte)(id >> 16), (byte)(id >> 24) });
            Same($"{name}_sha256", Sha256.Hex(bytes.ToArray()));
        }

        private void Same(string name, string found)
        {
            Check.Same(name, expected.GetProperty(name).GetString(), found);
        }

        private static string Hash(string text)
        {
            return Sha256.Hex(Encoding.UTF8.GetBytes(text));
        }

        private string Text()
        {
            var text = new StringBuilder();
            foreach (var part in Parts()) text.Insert(text.Length, part.Piece, part.Count);
            return text.ToString();
        }

        private byte[] Bytes()
        {
            var data = new MemoryStream();
            foreach (var part in Parts())
            {
                var bytes = Convert.FromBase64String(part.Piece);
                for (var n = 0; n < part.Count; n++) data.Write(bytes, 0, bytes.Length);
            }
            return data.ToArray();
        }

        private IEnumerable<(string Piece, int Count)> Parts()
        {
            return expected.GetProperty("parts").EnumerateArray()
                .Select(part => (part[0].GetString(), part[1].GetInt32()));
        }
    }
}
