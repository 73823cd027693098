package stack

// The kinds of package logs of AWS.
const (
	KindLogGroup     Kind = "log group"
	KindLogStream    Kind = "log stream"
	KindIndexPolicy  Kind = "field indexes"
	KindQuery        Kind = "saved query"
	KindMetricFilter Kind = "metric filter"
)

// LogGroup is a log group of CloudWatch Logs.
type LogGroup struct {
	Region, Name string
	// RetentionDays is one that PutRetentionPolicy takes; 0 keeps events for ever.
	RetentionDays int
	// Class is STANDARD, INFREQUENT_ACCESS or ESSENTIALS; AWS never lets it change.
	Class string
	// KMSKey is the ARN of a key; empty for AWS's own.
	KMSKey string
	Tags   map[string]string
	// Protected turns on deletion protection.
	Protected bool
}

// ID implements Resource.
func (g *LogGroup) ID() ID { return ID{KindLogGroup, g.Region, g.Name} }

// Part implements Resource.
func (*LogGroup) Part() string { return PartGroups }

// Attributes implements Resource.
func (g *LogGroup) Attributes() []Attribute {
	var a attributes
	a.number("retention_days", g.RetentionDays)
	a.fixed("class", g.Class)
	a.text("kms_key", g.KMSKey)
	a.pairs("tags", g.Tags)
	a.flag("deletion_protection", g.Protected)
	return a.sorted()
}

// LogStream is a log stream of a group.
type LogStream struct{ Region, Group, Name string }

// ID implements Resource.
func (s *LogStream) ID() ID { return ID{KindLogStream, s.Region, s.Group + " : " + s.Name} }

// Part implements Resource.
func (*LogStream) Part() string { return PartGroups }

// Attributes implements Resource.
func (*LogStream) Attributes() []Attribute { return nil }

// IndexPolicy is the field indexes of a group, which Logs Insights skips data by.
// Groups of the class STANDARD alone have them.
type IndexPolicy struct {
	Region, Group string
	// Fields are names of fields, 20 at most, 100 characters each.
	Fields []string
}

// ID implements Resource.
func (p *IndexPolicy) ID() ID { return ID{KindIndexPolicy, p.Region, p.Group} }

// Part implements Resource.
func (*IndexPolicy) Part() string { return PartIndexes }

// Attributes implements Resource.
func (p *IndexPolicy) Attributes() []Attribute {
	var a attributes
	a.list("fields", p.Fields)
	return a.sorted()
}

// Query is a saved query of Logs Insights.
type Query struct {
	Region string
	// Name is 255 characters at most; slashes make folders.
	Name string
	// Groups are the groups that it is offered for.
	Groups []string
	// Text is the query, 10,000 characters at most.
	Text string
}

// ID implements Resource.
func (q *Query) ID() ID { return ID{KindQuery, q.Region, q.Name} }

// Part implements Resource.
func (*Query) Part() string { return PartQueries }

// Attributes implements Resource.
func (q *Query) Attributes() []Attribute {
	var a attributes
	a.list("groups", q.Groups)
	a.text("text", q.Text)
	return a.sorted()
}

// MetricFilter counts events of a group in a metric.
type MetricFilter struct {
	Region, Group, Name string
	// Pattern is a filter pattern, 1,024 characters at most.
	Pattern string
	// Namespace and Metric name the metric; each match counts 1, and no match 0.
	Namespace, Metric string
}

// ID implements Resource.
func (f *MetricFilter) ID() ID { return ID{KindMetricFilter, f.Region, f.Group + " : " + f.Name} }

// Part implements Resource.
func (*MetricFilter) Part() string { return PartMetrics }

// Attributes implements Resource.
func (f *MetricFilter) Attributes() []Attribute {
	var a attributes
	a.text("pattern", f.Pattern)
	a.text("namespace", f.Namespace)
	a.text("metric", f.Metric)
	return a.sorted()
}
