using System.Collections.Generic;
using Microsoft.ML;
using Microsoft.ML.Transforms.Onnx;
#if MLNET_1
using System.Reflection;
using Microsoft.ML.OnnxRuntime;
#endif

namespace PsEmbed.Scoring
{
    /// <summary>ApplyOnnxModel with one thread a session: several on so small a network wait for each other.</summary>
    internal static class OneThread
    {
        internal static OnnxTransformer Fit(
            MLContext context, IDataView view, string model, string[] outputs, string[] inputs,
            Dictionary<string, int[]> shapes)
        {
#if MLNET_1
            // It has no such option, so the proof gives its transformer another session.
            var network = context.Transforms.ApplyOnnxModel(outputs, inputs, model, shapes).Fit(view);
            var hidden = BindingFlags.Instance | BindingFlags.NonPublic;
            var opened = typeof(OnnxTransformer).GetField("Model", hidden).GetValue(network);
            var session = new InferenceSession(model, new SessionOptions { IntraOpNumThreads = 1 });
            opened.GetType().GetField("_session", hidden).SetValue(opened, session);
            return network;
#else
            return context.Transforms.ApplyOnnxModel(new OnnxOptions
            {
                OutputColumns = outputs,
                InputColumns = inputs,
                ModelFile = model,
                ShapeDictionary = shapes,
                IntraOpNumThreads = 1,
                InterOpNumThreads = 1,
            }).Fit(view);
#endif
        }
    }
}
