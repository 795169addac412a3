using System;
using System.Collections.Generic;
using System.Linq;
using Microsoft.ML;
using Microsoft.ML.Data;

namespace PsEmbed.Scoring
{
    /// <summary>Lengths that rows of tokens and of characters are filled up to.</summary>
    internal struct Bucket
    {
        internal int Tokens, Characters;
    }

    /// <summary>
    /// The ML.NET pipeline: texts become ids, ids are gathered into batches of rows of one length, the network
    /// runs on each batch, and scores are calibrated and compared with the threshold.
    /// </summary>
    internal sealed class Pipeline
    {
        private const int BatchRows = 16;
        private const double LogitLimit = 17;
        private readonly MLContext context = new MLContext();
        private readonly Dictionary<(Bucket, int), ITransformer> networks =
            new Dictionary<(Bucket, int), ITransformer>();
        private readonly ITransformer encoding;
        private readonly ScriptEncoder encoder;
        private readonly string model;
        private readonly Bucket[] buckets;
        private readonly double threshold, temperature;

        internal Pipeline(string model, ScriptEncoder encoder, Bucket[] buckets, double threshold, double temperature)
        {
            this.model = model;
            this.encoder = encoder;
            this.buckets = buckets;
            this.threshold = threshold;
            this.temperature = temperature;
            var none = context.Data.LoadFromEnumerable(new Text[0]);
            encoding = context.Transforms.CustomMapping<Text, Ids>(Encode, null).Fit(none);
        }

        /// <summary>Fill in the scores of those verdicts that have a text.</summary>
        internal void Score(IEnumerable<Verdict> verdicts)
        {
            var scored = verdicts.Where(verdict => !string.IsNullOrEmpty(verdict.Cleaned)).ToList();
            var texts = context.Data.LoadFromEnumerable(scored.Select(verdict => new Text { Cleaned = verdict.Cleaned }));
            var next = 0;
            foreach (var ids in context.Data.CreateEnumerable<Ids>(encoding.Transform(texts), reuseRowObject: false))
                scored[next++].Row = new Row { Tokens = ids.Tokens ?? new int[0], Characters = ids.Characters };
            foreach (var group in scored.GroupBy(BucketOf))
            {
                var whole = group.Count() / BatchRows * BatchRows;
                Run(group.Key, BatchRows, group.Take(whole).ToList());
                Run(group.Key, 1, group.Skip(whole).ToList());
            }
        }

        private void Encode(Text text, Ids ids)
        {
            var row = encoder.Encode(text.Cleaned);
            ids.Tokens = row.Tokens;
            ids.Characters = row.Characters;
        }

        /// <summary>Return the first bucket that holds both rows; the last one holds any.</summary>
        private Bucket BucketOf(Verdict verdict)
        {
            return buckets.First(bucket =>
                verdict.Row.Tokens.Length <= bucket.Tokens && verdict.Row.Characters.Length <= bucket.Characters);
        }

        private void Run(Bucket bucket, int size, List<Verdict> verdicts)
        {
            if (verdicts.Count == 0) return;
            var batches = Enumerable.Range(0, verdicts.Count / size)
                .Select(n => Padded(bucket, verdicts.GetRange(n * size, size)));
            var schema = SchemaOf<Ids>(size * bucket.Tokens, size * bucket.Characters);
            var view = context.Data.LoadFromEnumerable(batches, schema);
            if (!networks.TryGetValue((bucket, size), out var network))
                networks[(bucket, size)] = network = Network(bucket, size, view);
            var next = 0;
            foreach (var batch in context.Data.CreateEnumerable<Judged>(network.Transform(view), reuseRowObject: false))
                for (var n = 0; n < size; n++)
                    verdicts[next++].Set(batch.Score[n], batch.Calibrated[n], batch.Malicious[n]);
        }

        private Ids Padded(Bucket bucket, List<Verdict> verdicts)
        {
            return new Ids
            {
                Tokens = Flat(verdicts.ConvertAll(verdict => verdict.Row.Tokens), bucket.Tokens),
                Characters = Flat(verdicts.ConvertAll(verdict => verdict.Row.Characters), bucket.Characters),
            };
        }

        private int[] Flat(List<int[]> rows, int width)
        {
            var flat = new int[rows.Count * width];
            if (encoder.Pad != 0) Array.Fill(flat, encoder.Pad);
            for (var n = 0; n < rows.Count; n++) rows[n].CopyTo(flat, n * width);
            return flat;
        }

        /// <summary>The network of one bucket, and what is made of its scores.</summary>
        private ITransformer Network(Bucket bucket, int size, IDataView view)
        {
            var shapes = new Dictionary<string, int[]>
            {
                [Ids.TokensName] = new[] { size, bucket.Tokens },
                [Ids.CharactersName] = new[] { size, bucket.Characters },
                [Scores.Name] = new[] { size, 1 },
            };
            var inputs = new[] { Ids.TokensName, Ids.CharactersName };
            var network = OneThread.Fit(context, view, model, new[] { Scores.Name }, inputs, shapes);
            var judging = context.Transforms.CustomMapping<Scores, Judged>(Judge, null, SchemaOf<Scores>(size), SchemaOf<Judged>(size));
            return network.Append(judging.Fit(network.Transform(view)));
        }

        private void Judge(Scores scores, Judged judged)
        {
            judged.Score = scores.Score;
            judged.Calibrated = Array.ConvertAll(scores.Score, Calibrate);
            judged.Malicious = Array.ConvertAll(scores.Score, score => (double)score >= threshold);
        }

        internal double Calibrate(float score)
        {
            var odds = Math.Log(score / (1 - (double)score));
            return 1 / (1 + Math.Exp(-Math.Max(-LogitLimit, Math.Min(LogitLimit, odds)) / temperature));
        }

        /// <summary>Give the vectors of a row class their lengths, which its attributes cannot know.</summary>
        private static SchemaDefinition SchemaOf<T>(params int[] lengths)
        {
            var schema = SchemaDefinition.Create(typeof(T));
            for (var n = 0; n < schema.Count; n++)
            {
                var item = ((VectorDataViewType)schema[n].ColumnType).ItemType;
                schema[n].ColumnType = new VectorDataViewType(item, lengths[n % lengths.Length]);
            }
            return schema;
        }

        private sealed class Text
        {
            public string Cleaned { get; set; }
        }

        /// <summary>Of one text, or of a batch of them, one after the other.</summary>
        private sealed class Ids
        {
            internal const string TokensName = "tokens", CharactersName = "characters";

            [ColumnName(TokensName)]
            public int[] Tokens { get; set; }

            [ColumnName(CharactersName)]
            public int[] Characters { get; set; }
        }

        private sealed class Scores
        {
            internal const string Name = "score";

            [ColumnName(Name)]
            public float[] Score { get; set; }
        }

        private sealed class Judged
        {
            public float[] Score { get; set; }

            public double[] Calibrated { get; set; }

            public bool[] Malicious { get; set; }
        }
    }
}
