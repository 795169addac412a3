using System;
using System.Collections.Generic;
using System.Text;

namespace PsEmbed.Scoring
{
    /// <summary>Comments and white space out of one text: section "Clean" of docs/contract.md.</summary>
    public sealed class Cleaning
    {
        private const string BeforeComment = "&(),;{}|]";
        private readonly string text;
        private readonly StringBuilder kept = new StringBuilder();
        private readonly Stack<int> brackets = new Stack<int>();  // open ones of each $( in a string
        private int at;  // where the walk is
        private int start;  // of what is not in `kept` yet

        private Cleaning(string text)
        {
            this.text = text;
        }

        /// <summary>Return the text as the network's ids are made of it. Once per text, no more.</summary>
        public static string Clean(string text)
        {
            if (text.Length > 0 && text[0] == '\uFEFF') text = text.Substring(1);
            text = text.Replace("\r\n", "\n").Replace('\r', '\n');
            return SingleSpaces(new Cleaning(text).WithoutComments());
        }

        private static string SingleSpaces(string text)
        {
            var joined = new StringBuilder(text.Length);
            foreach (var c in text)
            {
                if (!Tables.IsWhiteSpace(c)) joined.Append(c);
                else if (joined.Length > 0 && joined[joined.Length - 1] != ' ') joined.Append(' ');
            }
            if (joined.Length > 0 && joined[joined.Length - 1] == ' ') joined.Length--;
            return joined.ToString();
        }

        private string WithoutComments()
        {
            while (at < text.Length) Step();
            return kept.Append(text, start, text.Length - start).ToString();
        }

        /// <summary>Go on by what stands at `at`; a jump to the end keeps all that is left.</summary>
        private void Step()
        {
            var c = text[at];
            if (c == '#' && CanStartToken()) Remove(Or(text.IndexOf('\n', at)), "");
            else if (c == '<' && Next(1) == '#') SkipBlockComment();
            else if (c == '(' && brackets.Count > 0) Count(1);
            else if (c == ')' && brackets.Count > 0) Count(-1);
            else if (c == '`') at += 2;
            else if (c == '@') SkipHereString();
            else if (IsSingle(c)) at = Or(text.IndexOfAny(Tables.SingleQuotes, at + 1), 1);
            else if (IsDouble(c)) SkipDoubleQuoted(at + 1);
            else at++;
        }

        private char Next(int distance)
        {
            return at + distance < text.Length ? text[at + distance] : '\0';
        }

        /// <summary>Return the place after what was found, the end of the text where nothing was.</summary>
        private int Or(int found, int length = 0)
        {
            return found < 0 ? text.Length : found + length;
        }

        private static bool IsSingle(char c)
        {
            return Array.IndexOf(Tables.SingleQuotes, c) >= 0;
        }

        private static bool IsDouble(char c)
        {
            return Array.IndexOf(Tables.DoubleQuotes, c) >= 0;
        }

        private bool CanStartToken()
        {
            if (at == 0) return true;
            var before = text[at - 1];
            return Tables.IsWhiteSpace(before) || BeforeComment.IndexOf(before) >= 0 || IsSingle(before)
                || IsDouble(before) || (before == '>' && at > 1 && text[at - 2] == '#');
        }

        private void Remove(int end, string instead)
        {
            kept.Append(text, start, at - start).Append(instead);
            start = at = end;
        }

        private void SkipBlockComment()
        {
            // Ordinal: the search of a culture passes over characters that it takes for invisible.
            var end = text.IndexOf("#>", at + 2, StringComparison.Ordinal);
            if (end < 0) at = text.Length;
            else Remove(end + 2, " ");
        }

        private void Count(int change)
        {
            var open = brackets.Pop() + change;
            if (open == 0) SkipDoubleQuoted(at + 1);
            else
            {
                brackets.Push(open);
                at++;
            }
        }

        private void SkipHereString()
        {
            var quote = Next(1);
            var end = at + 2;
            while (end < text.Length && (text[end] == ' ' || text[end] == '\t')) end++;
            if (!(IsSingle(quote) || IsDouble(quote)) || end >= text.Length || text[end] != '\n')
            {
                at++;
                return;
            }
            for (; end >= 0; end = text.IndexOf('\n', end + 1))
            {
                if (end + 2 >= text.Length || text[end + 2] != '@') continue;
                if (IsSingle(quote) ? IsSingle(text[end + 1]) : IsDouble(text[end + 1])) break;
            }
            at = Or(end, 3);
        }

        /// <summary>Go to the end of a double-quoted string that goes on at `from`, or into its next $( ).</summary>
        private void SkipDoubleQuoted(int from)
        {
            for (at = from; at < text.Length; at++)
            {
                if (text[at] == '`') at++;
                else if (text[at] == '$' && Next(1) == '(')
                {
                    brackets.Push(1);
                    at += 2;
                    return;
                }
                else if (IsDouble(text[at]))
                {
                    at++;
                    return;
                }
            }
        }
    }
}
