// Package insights evaluates queries of CloudWatch Logs Insights over events that were
// read some other way: for endpoints that have no Logs Insights, and for people who may
// read a log group and not query it.
//
// It knows the part of the language that the saved queries of gapless use, and says what
// it does not know instead of guessing:
//
//	fields, filter, parse @message /expression/, stats … by …, sort, limit
//	= != < <= > >= like in and or not + - * / %, texts, numbers, regular expressions
//	abs bin ceil coalesce concat floor isblank isempty ispresent strcontains strlen toMillis tolower toupper trim
//	count count_distinct sum avg min max pct earliest latest sortsFirst sortsLast
//
// The language is that of https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html.
// Unlike Logs Insights it sees every member of a message and not the first 200, and
// count_distinct, pct and the order of equal rows are exact.
package insights
