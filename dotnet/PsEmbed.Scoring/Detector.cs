using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;

namespace PsEmbed.Scoring
{
    /// <summary>A file of the detector's folder is missing, damaged, or of another format.</summary>
    public sealed class ModelException : Exception
    {
        /// <summary>Say what is wrong, and with which file.</summary>
        public ModelException(string message, Exception cause = null) : base(message, cause) { }
    }

    /// <summary>What the detector says of one script, without layers.</summary>
    public sealed class Verdict
    {
        /// <summary>How bytes were decoded ("text" where a text was given).</summary>
        public string Encoding { get; internal set; } = "";

        /// <summary>Of the network, 0 to 1; null where there is none, and `Reason` says why.</summary>
        public float? Score { get; internal set; }

        /// <summary>The score brought nearer to a probability.</summary>
        public double? Calibrated { get; internal set; }

        /// <summary>Whether the score reaches the threshold.</summary>
        public bool? Malicious { get; internal set; }

        /// <summary>Why there is no score.</summary>
        public string Reason { get; internal set; } = "";

        internal string Cleaned;
        internal Row Row;

        internal void Set(float score, double calibrated, bool malicious)
        {
            Score = score;
            Calibrated = calibrated;
            Malicious = malicious;
            Cleaned = null;
            Row = default(Row);
        }
    }

    /// <summary>The detector of a released folder; docs/contract.md says how it scores.</summary>
    public sealed class Detector
    {
        private const int Format = 4, ChunkTexts = 1024, ChunkCharacters = 8 << 20;
        private const string Model = "detector.onnx", Tokenizer = "tokenizer.json", Manifest = "manifest.json";
        private readonly Pipeline pipeline;

        private Detector(string folder, JsonElement manifest, JsonElement rules)
        {
            Encoder = new ScriptEncoder(rules);
            pipeline = new Pipeline(Path.Combine(folder, Model), Encoder, Buckets(manifest),
                Number(manifest, "threshold", 0, 1),
                Number(manifest, "temperature", double.Epsilon, double.MaxValue));
        }

        /// <summary>What turns clean texts into ids.</summary>
        public ScriptEncoder Encoder { get; }

        /// <summary>Open a folder; ModelException where a file is missing or not the one of the manifest.</summary>
        public static Detector Load(string folder)
        {
            try
            {
                using (var manifest = JsonDocument.Parse(Read(folder, Manifest)))
                {
                    if (manifest.RootElement.GetProperty("format").GetInt32() != Format)
                        throw new ModelException($"{Manifest}: this scorer reads format {Format}");
                    var hashes = manifest.RootElement.GetProperty("sha256");
                    Check(folder, Model, hashes);
                    using (var rules = JsonDocument.Parse(Check(folder, Tokenizer, hashes)))
                        return new Detector(folder, manifest.RootElement, rules.RootElement);
                }
            }
            catch (Exception error) when (error is JsonException || error is KeyNotFoundException
                || error is InvalidOperationException || error is FormatException || error is ArgumentException)
            {
                throw new ModelException($"{Manifest} or {Tokenizer} is damaged: {error.Message}", error);
            }
        }

        /// <summary>Yield the verdicts on texts, as decoded, in order; many are read and scored together.</summary>
        public IEnumerable<Verdict> Score(IEnumerable<string> texts)
        {
            return Scored(texts.Select(text => Taken(text, "text")));
        }

        /// <summary>Yield the verdicts on files' bytes, in order; many are read and scored together.</summary>
        public IEnumerable<Verdict> Score(IEnumerable<byte[]> files)
        {
            return Scored(files.Select(Taken));
        }

        /// <summary>Bring a score nearer to a probability.</summary>
        public double Calibrate(float score)
        {
            return pipeline.Calibrate(score);
        }

        private static Verdict Taken(byte[] data)
        {
            if (data.Length > Decoding.MaxBytes)
                return new Verdict { Reason = $"larger than {Decoding.MaxBytes} bytes" };
            var (text, encoding) = Decoding.Decode(data);
            return text == null
                ? new Verdict { Encoding = encoding, Reason = "binary data, not a script" }
                : Taken(text, encoding);
        }

        private static Verdict Taken(string text, string encoding)
        {
            var cleaned = Cleaning.Clean(Decoding.WellFormed(text));
            var verdict = new Verdict { Encoding = encoding, Cleaned = cleaned };
            if (cleaned.Length == 0) verdict.Reason = "no text in it";
            return verdict;
        }

        private IEnumerable<Verdict> Scored(IEnumerable<Verdict> verdicts)
        {
            var chunk = new List<Verdict>();
            var characters = 0L;
            foreach (var verdict in verdicts)
            {
                chunk.Add(verdict);
                characters += verdict.Cleaned?.Length ?? 0;
                if (chunk.Count < ChunkTexts && characters < ChunkCharacters) continue;
                pipeline.Score(chunk);
                foreach (var scored in chunk) yield return scored;
                chunk.Clear();
                characters = 0;
            }
            pipeline.Score(chunk);
            foreach (var scored in chunk) yield return scored;
        }

        private static byte[] Read(string folder, string name)
        {
            try
            {
                return File.ReadAllBytes(Path.Combine(folder, name));
            }
            catch (Exception error) when (error is IOException || error is UnauthorizedAccessException)
            {
                throw new ModelException($"{name} cannot be read: {error.Message}", error);
            }
        }

        private static byte[] Check(string folder, string name, JsonElement hashes)
        {
            var data = Read(folder, name);
            if (Sha256.Hex(data) != hashes.GetProperty(name).GetString())
                throw new ModelException($"{name} is not the one that {Manifest} names: copy the whole folder again");
            return data;
        }

        private static double Number(JsonElement manifest, string name, double least, double most)
        {
            var value = manifest.GetProperty(name).GetDouble();
            return value >= least && value <= most
                ? value : throw new ModelException($"{Manifest}: {name} is {value}");
        }

        private Bucket[] Buckets(JsonElement manifest)
        {
            var buckets = manifest.GetProperty("buckets").EnumerateArray()
                .Select(pair => new Bucket { Tokens = pair[0].GetInt32(), Characters = pair[1].GetInt32() }).ToArray();
            if (buckets.Last().Tokens < Encoder.TokenLength || buckets.Last().Characters < Encoder.CharLength)
                throw new ModelException($"{Manifest}: no bucket holds the longest rows");
            return buckets;
        }
    }
}
