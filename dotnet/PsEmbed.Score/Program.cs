using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using System.Text.Json;
using PsEmbed.Scoring;

namespace PsEmbed.Score
{
    /// <summary>psembed-score: files, folders and standard input as JSON lines of verdicts.</summary>
    internal static class Program
    {
        private const int Found = 1, Unread = 2;
        private const string Usage = @"usage: psembed-score DETECTOR PATH...

DETECTOR is a released folder; a PATH is a script, a folder of scripts, or - for standard input.
Prints a line of JSON for each script. Layers within a script are not looked for.
exit codes: 0 all were scored and none is malicious; 1 some are malicious; 2 none is, but some could
not be scored, or nothing was, or the request was wrong";

        private static int Main(string[] arguments)
        {
            if (arguments.Length < 2 || arguments.Count(path => path == Inputs.StandardInput) > 1)
            {
                Console.Error.WriteLine(Usage);
                return Unread;
            }
            try
            {
                return Run(Detector.Load(arguments[0]), arguments.Skip(1));
            }
            catch (ModelException error)
            {
                Console.Error.WriteLine("psembed-score: " + error.Message);
                return Unread;
            }
        }

        private static int Run(Detector detector, IEnumerable<string> paths)
        {
            int malicious = 0, scored = 0, unread = 0;
            var names = new Queue<Input>();  // of what is being scored
            var verdicts = detector.Score(Inputs.Of(paths).Select(input =>
            {
                var data = input.Data;
                input.Data = null;  // the name is enough until the verdict comes
                names.Enqueue(input);
                return data;
            }));
            using (var output = new StreamWriter(Console.OpenStandardOutput(), new UTF8Encoding(false)))
            {
                foreach (var verdict in verdicts)
                {
                    var input = names.Dequeue();
                    output.Write(Line(input, verdict));
                    if (verdict.Malicious == true) malicious++;
                    if (verdict.Score != null) scored++;
                    else if (!input.IsFound || input.Problem != "" || verdict.Encoding == "binary") unread++;
                }
            }
            return malicious > 0 ? Found : unread > 0 || scored == 0 ? Unread : 0;
        }

        private static string Line(Input input, Verdict verdict)
        {
            var stream = new MemoryStream();
            using (var json = new Utf8JsonWriter(stream))
            {
                json.WriteStartObject();
                json.WriteString("path", input.Name);
                json.WriteString("verdict", verdict.Score == null ? "not scored" : verdict.Malicious == true ? "malicious" : "clean");
                WriteNumber(json, "score", verdict.Score);
                WriteNumber(json, "calibrated", verdict.Calibrated);
                json.WriteString("encoding", input.Problem == "" ? verdict.Encoding : "");
                json.WriteString("sha256", input.Hash);
                json.WriteString("reason", input.Problem == "" ? verdict.Reason : input.Problem);
                json.WriteEndObject();
            }
            return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
        }

        private static void WriteNumber(Utf8JsonWriter json, string name, double? value)
        {
            if (value == null) json.WriteNull(name);
            else json.WriteNumber(name, value.Value);
        }
    }

    /// <summary>Bytes to score, and their name; none and a problem where they could not be read.</summary>
    internal sealed class Input
    {
        internal string Name, Problem = "", Hash = "";
        internal byte[] Data = new byte[0];
        internal bool IsFound;  // in a folder: one without text is then no failure
    }

    /// <summary>What the paths name, in order; folders are walked in the order of their names.</summary>
    internal static class Inputs
    {
        internal const string StandardInput = "-";
        private static readonly string[] Scripts = { ".ps1", ".psm1", ".psd1", ".ps1xml" };

        internal static IEnumerable<Input> Of(IEnumerable<string> paths)
        {
            foreach (var path in paths)
            {
                if (path == StandardInput) yield return Read(path, Console.OpenStandardInput, false);
                else if (!Directory.Exists(path)) yield return Read(path, () => Open(path), false);
                else
                {
                    var isEmpty = true;
                    foreach (var input in Folder(path.EndsWith('/') ? path : path + "/"))
                    {
                        isEmpty = false;
                        yield return input;
                    }
                    if (isEmpty) yield return new Input { Name = path, Problem = "no script in this folder" };
                }
            }
        }

        private static IEnumerable<Input> Folder(string path)
        {
            var found = Entries(path);
            if (found.Problem != "") yield return new Input { Name = path.TrimEnd('/'), Problem = found.Problem };
            foreach (var entry in found.Paths)
            {
                if (entry.EndsWith('/'))
                    foreach (var input in Folder(entry)) yield return input;
                else if (Scripts.Any(end => entry.EndsWith(end, StringComparison.OrdinalIgnoreCase)))
                    yield return Read(entry, () => Open(entry), true);
            }
        }

        /// <summary>Return the paths in a folder, without links; those of folders end with a slash.</summary>
        private static (string[] Paths, string Problem) Entries(string path)
        {
            try
            {
                var paths = new DirectoryInfo(path).GetFileSystemInfos()
                    .Where(entry => (entry.Attributes & FileAttributes.ReparsePoint) == 0)
                    .Select(entry => path + entry.Name + (entry is DirectoryInfo ? "/" : ""))
                    .OrderBy(name => name, StringComparer.Ordinal).ToArray();
                return (paths, "");
            }
            catch (Exception error) when (error is IOException || error is UnauthorizedAccessException)
            {
                return (new string[0], error.Message);
            }
        }

        private static Stream Open(string path)
        {
            return File.OpenRead(path);
        }

        private static Input Read(string name, Func<Stream> open, bool isFound)
        {
            var input = new Input { Name = name, IsFound = isFound };
            try
            {
                using (var stream = open()) input.Data = AtMost(stream, Decoding.MaxBytes + 1);
                if (input.Data.Length <= Decoding.MaxBytes) input.Hash = Sha256.Hex(input.Data);
            }
            catch (FileNotFoundException)
            {
                input.Problem = "No such file or directory";
            }
            catch (DirectoryNotFoundException)
            {
                input.Problem = "No such file or directory";
            }
            catch (Exception error) when (error is IOException || error is UnauthorizedAccessException)
            {
                input.Problem = error.Message;
            }
            return input;
        }

        /// <summary>Read to the end, or one byte more than is scored.</summary>
        private static byte[] AtMost(Stream stream, int limit)
        {
            var copy = new MemoryStream();
            var buffer = new byte[1 << 16];
            for (int count; copy.Length < limit && (count = stream.Read(buffer, 0, buffer.Length)) > 0;)
                copy.Write(buffer, 0, count);
            return copy.ToArray();
        }
    }
}
