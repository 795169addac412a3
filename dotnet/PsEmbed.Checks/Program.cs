using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using PsEmbed.Scoring;

namespace PsEmbed.Checks
{
    /// <summary>
    /// psembed-checks FOLDER: run all checks without xunit. psembed-checks FOLDER SCRIPTS: score the files of a
    /// folder, held in memory, and print a line for each, then the scripts a second of processor time.
    /// </summary>
    internal static class Program
    {
        private static int Main(string[] arguments)
        {
            return arguments.Length > 1 ? Measure(arguments[0], arguments[1]) : RunAll(AllChecks.Of(arguments[0]));
        }

        private static int RunAll(IEnumerable<Check> checks)
        {
            int passed = 0, failed = 0;
            foreach (var check in checks)
            {
                try
                {
                    check.Run();
                    passed++;
                }
                catch (Exception error)
                {
                    failed++;
                    Console.WriteLine($"FAILED {check.Name}: {error.Message}");
                }
            }
            Console.WriteLine($"{passed} passed, {failed} failed");
            return failed == 0 ? 0 : 1;
        }

        private static int Measure(string folder, string scripts)
        {
            var detector = Detector.Load(folder);
            var files = Directory.GetFiles(scripts).OrderBy(path => path, StringComparer.Ordinal)
                .Select(File.ReadAllBytes).ToList();
            var before = Process.GetCurrentProcess().TotalProcessorTime;
            var verdicts = detector.Score(files).ToList();
            var rate = files.Count / (Process.GetCurrentProcess().TotalProcessorTime - before).TotalSeconds;
            foreach (var verdict in verdicts)
                Console.WriteLine(FormattableString.Invariant($"{verdict.Score:R} {verdict.Calibrated:R} {verdict.Malicious} {verdict.Encoding}"));
            Console.WriteLine(rate.ToString("R", CultureInfo.InvariantCulture));
            return 0;
        }
    }
}
