using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using PsEmbed.Scoring;

namespace PsEmbed.Checks
{
    /// <summary>Something that has to hold; `Run` raises where it does not.</summary>
    public sealed class Check
    {
        /// <summary>Name it and say how it is tried.</summary>
        public Check(string name, Action run)
        {
            Name = name;
            Run = run;
        }

        /// <summary>What has to hold.</summary>
        public string Name { get; }

        /// <summary>Try it.</summary>
        public Action Run { get; }

        /// <inheritdoc/>
        public override string ToString()
        {
            return Name;
        }

        /// <summary>Raise where two values differ.</summary>
        public static void Same<T>(string what, T expected, T found)
        {
            if (!Equals(expected, found)) throw new Exception($"{what}: expected {expected}, found {found}");
        }
    }

    /// <summary>All checks of one released folder, whoever runs them.</summary>
    public static class AllChecks
    {
        private static readonly string[] Cultures = { "tr-TR", "th-TH", "ar-SA", "az-Latn-AZ" };

        /// <summary>Yield the checks; the folder is only read.</summary>
        public static IEnumerable<Check> Of(string folder)
        {
            var detector = Detector.Load(folder);
            var records = Golden.Read(folder);
            for (var n = 0; n < records.Count; n++)
            {
                var record = records[n];
                yield return new Check($"record {n + 1}", () => record.CheckExact(detector.Encoder));
            }
            yield return new Check("scores of all records", () => Golden.CheckScores(records, detector));
            foreach (var name in Cultures)
                yield return new Check($"culture {name}", () => InCulture(name, records, detector.Encoder));
            foreach (var check in Refusals(folder, detector)) yield return check;
        }

        private static void InCulture(string name, List<Golden> records, ScriptEncoder encoder)
        {
            var before = CultureInfo.CurrentCulture;
            try
            {
                CultureInfo.CurrentCulture = new CultureInfo(name);
                if (name == "tr-TR") Check.Same("i in capitals (has the runtime ICU?)", "\u0130", "i".ToUpper());
                foreach (var record in records.Where(each => each.IsSmall)) record.CheckExact(encoder);
            }
            finally
            {
                CultureInfo.CurrentCulture = before;
            }
        }

        private static IEnumerable<Check> Refusals(string folder, Detector detector)
        {
            var refused = new Dictionary<string, byte[]>
            {
                ["no text in it"] = new byte[0],
                ["binary data, not a script"] = new byte[] { 0, 1, 2 },
                [$"larger than {Decoding.MaxBytes} bytes"] = new byte[Decoding.MaxBytes + 1],
            };
            foreach (var pair in refused)
                yield return new Check($"refused: {pair.Key}", () =>
                {
                    var verdict = detector.Score(new[] { pair.Value }).Single();
                    Check.Same("reason", pair.Key, verdict.Reason);
                    Check.Same("score", null, verdict.Score);
                });
            yield return new Check("half a pair is replaced", () =>
            {
                var scores = detector.Score(new[] { "a\uD800b", "a\uFFFDb" }).Select(verdict => verdict.Score).ToList();
                Check.Same("score", scores[0], scores[1]);
            });
            foreach (var name in new[] { "detector.onnx", "tokenizer.json", "manifest.json" })
            {
                yield return new Check($"refused: {name} missing", () => Refused(folder, name, _ => null));
                yield return new Check($"refused: {name} of another detector", () => Refused(folder, name, Foreign));
                yield return new Check($"refused: {name} cut short", () => Refused(folder, name, data => data.Take(99).ToArray()));
            }
        }

        private static byte[] Foreign(byte[] data)
        {
            return Encoding.UTF8.GetBytes("{\"format\":0,\"sha256\":{}}");
        }

        /// <summary>Try a copy of the folder in which one file is changed, or missing where that is null.</summary>
        private static void Refused(string folder, string changed, Func<byte[], byte[]> change)
        {
            var copy = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
            Directory.CreateDirectory(copy);
            try
            {
                foreach (var name in new[] { "detector.onnx", "tokenizer.json", "manifest.json" })
                {
                    var data = File.ReadAllBytes(Path.Combine(folder, name));
                    if (name == changed) data = change(data);
                    if (data != null) File.WriteAllBytes(Path.Combine(copy, name), data);
                }
                Detector.Load(copy);
            }
            catch (ModelException error) when (error.Message.Contains(changed))
            {
                return;
            }
            finally
            {
                Directory.Delete(copy, true);
            }
            throw new Exception($"a folder with another {changed} was taken");
        }
    }
}
