package stack

import "strconv"

// The kinds of CloudWatch.
const (
	KindAlarm     Kind = "alarm"
	KindDashboard Kind = "dashboard"
)

// Alarm is an alarm on the sum of a metric that has no dimensions. Times without
// data are fine.
type Alarm struct {
	Region, Name, Description string
	Namespace, Metric         string
	// PeriodSeconds is how long each sum is over: 60 or a multiple of it.
	PeriodSeconds int
	// Threshold is the sum from which on it is in alarm.
	Threshold int
	// Topics are ARNs of topics of SNS that are told of alarm and end; 5 at most.
	Topics []string
	Tags   map[string]string
}

// ID implements Resource.
func (m *Alarm) ID() ID { return ID{KindAlarm, m.Region, m.Name} }

// Part implements Resource.
func (*Alarm) Part() string { return PartAlarms }

// Attributes implements Resource.
func (m *Alarm) Attributes() []Attribute {
	var a attributes
	a.text("description", m.Description)
	a.text("namespace", m.Namespace)
	a.text("metric", m.Metric)
	a.number("period_seconds", m.PeriodSeconds)
	a.text("threshold", strconv.Itoa(m.Threshold))
	a.list("topics", m.Topics)
	a.pairs("tags", m.Tags)
	return a.sorted()
}

// Dashboard is a dashboard of CloudWatch, which belongs to no Region.
type Dashboard struct {
	Name string
	// Body is its JSON, canonical.
	Body string
}

// ID implements Resource.
func (d *Dashboard) ID() ID { return ID{Kind: KindDashboard, Name: d.Name} }

// Part implements Resource.
func (*Dashboard) Part() string { return PartDashboard }

// Attributes implements Resource.
func (d *Dashboard) Attributes() []Attribute {
	var a attributes
	a.text("body", d.Body)
	return a.sorted()
}
