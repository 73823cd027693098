package stack

import (
	"fmt"
	"strconv"
	"strings"
)

// queriesHead opens docs/setup-queries.md.
const queriesHead = `# Queries, alarms and the dashboard

<!-- Generated from the tables of internal/setup/stack. To change it, change them and run: make generate -->

` + "`gapless setup`" + ` saves queries of Logs Insights for each tenant, makes metric filters and alarms, and a dashboard. Each can be left out with
` + "`setup.leave_out`" + ` (` + "`queries`, `metrics`, `alarms`, `dashboard`" + `). They look at the tenant's main destination; further ones hold the same events.

- The message of an event is Auth0's record, so every field is named by its path, such as ` + "`details.request.path`" + `. If redaction hides or
  hashes a field, queries show and group by what is left of it.
- Logs Insights discovers the first 200 fields of an event. In records of a Management API token with many scopes the request comes behind
  them; the queries about admin changes read it from the text then. For others, ` + "`cloudwatch.copy`" + ` puts a value in front.
- A query costs by the bytes that it scans, and each look at the dashboard runs the queries of its tables: choose a short time first.
- A metric filter sees what arrives after it was made, one event at a time. Each metric, alarm and dashboard is on AWS's bill.
- Groups of the class INFREQUENT_ACCESS have no metric filters. Their queries and the tables of the dashboard work. The same is assumed of
  ESSENTIALS, of which AWS has not published what it can do.
- If the name of the log group depends on events, such as ` + "`/auth0/{date}`" + `, there are the queries alone: choose the groups when you run them.

## What to open when

In the console: CloudWatch, Logs Insights, Saved queries, folder ` + "`gapless/TENANT`" + `.

| query | when |
| --- | --- |
`

// watchesHead opens the part about metrics and alarms.
const watchesHead = `
Two questions have no sure answer. **New countries** needs ` + "`location_info`" + `, which Auth0 documents, and of which no event that we have
seen holds a value; New addresses always works, and shows more than is new to a person. **Exported twice** looks at what lies in the
group, and so finds no event that is missing.

## Metrics and alarms

Each is a metric filter ` + "`gapless-TENANT-NAME`" + ` that counts in the namespace ` + "`gapless/TENANT`" + `, and an alarm of the same name that tells the
topics of ` + "`setup.alarm_topics`" + ` in its Region. An alarm is raised when that many or more come within the period; times without events are
fine. Metrics without a number are for graphs alone.

| name | metric | counts | alarm from | why that number | then open |
| --- | --- | --- | --- | --- | --- |
`

// watchesFoot closes the part about metrics and alarms.
const watchesFoot = `
The numbers suit a tenant of some thousand users: above what people do by mistake, below what an attack is for. Replace one in
` + "`setup.alarm_thresholds`" + `, where 0 leaves the alarm out. No alarm says that *nothing* arrives: that is gapless's own to tell, see the operations guide.

## The dashboard

` + "`gapless-TENANT`" + ` (dots of the name become hyphens) shows the last 24 hours: the states of the alarms; graphs of logins, attacks, second
factors, admin changes, tokens and limits; how many events arrive and how late; and tables of the queries that answer the first questions.

## Permissions

Whoever applies these parts needs ` + "`logs:DescribeQueryDefinitions`, `logs:PutQueryDefinition`, `logs:DescribeMetricFilters`, `logs:PutMetricFilter`" + `,
` + "`cloudwatch:DescribeAlarms`, `cloudwatch:ListTagsForResource`, `cloudwatch:PutMetricAlarm`, `cloudwatch:TagResource`, `cloudwatch:GetDashboard`" + ` and
` + "`cloudwatch:PutDashboard`; to take them away `logs:DeleteQueryDefinition`, `logs:DeleteMetricFilter`, `cloudwatch:DeleteAlarms`" + ` and
` + "`cloudwatch:DeleteDashboards`" + `. gapless itself needs none of them to run.

## The queries

Text to change and to keep, as it is saved.
`

// QueriesMarkdown returns docs/setup-queries.md: what each saved query and each alarm
// answers.
func QueriesMarkdown() string {
	var b strings.Builder
	b.WriteString(queriesHead)
	for _, q := range SavedQueries() {
		fmt.Fprintf(&b, "| %s | %s |\n", q.Title, q.When)
	}
	b.WriteString(watchesHead)
	for _, w := range Watches() {
		from, why := "", w.Why
		if w.Threshold > 0 {
			from = strconv.Itoa(w.Threshold) + " in " + minutes(w.Period)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", w.Slug, w.Metric, w.Counts, from, why, w.Query)
	}
	b.WriteString(watchesFoot)
	for _, q := range SavedQueries() {
		fmt.Fprintf(&b, "\n### %s\n\n```\n%s\n```\n", q.Title, q.Text)
	}
	return b.String()
}
