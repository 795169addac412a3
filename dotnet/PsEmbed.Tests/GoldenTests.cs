using System;
using System.Collections.Generic;
using System.Linq;
using PsEmbed.Checks;
using Xunit;

namespace PsEmbed.Tests
{
    /// <summary>The checks of PsEmbed.Checks under xunit; PSEMBED_RELEASED names the detector's folder.</summary>
    public class GoldenTests
    {
        private static readonly List<Check> Checks = AllChecks.Of(Environment.GetEnvironmentVariable("PSEMBED_RELEASED")).ToList();

        public static IEnumerable<object[]> Names => Checks.Select(check => new object[] { check.Name });

        [Theory]
        [MemberData(nameof(Names))]
        public void Holds(string name)
        {
            Checks.Single(check => check.Name == name).Run();
        }
    }
}
