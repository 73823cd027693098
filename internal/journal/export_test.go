package journal

// WithBudget returns a configuration of which queries have a budget.
func (c Config) WithBudget(b Budget) Config {
	c.budget = b
	return c
}

// WithHurry returns a configuration in which so many queued bytes are a backlog.
func (c Config) WithHurry(n int64) Config {
	c.hurry = n
	return c
}

// WithFree returns a configuration that asks fn for the room of the disk.
func (c Config) WithFree(fn func(string) (free, all int64, err error)) Config {
	c.free = fn
	return c
}

// Number runs a query that answers with a number.
func (r *Reader) Number(query string, args ...any) (n int64, err error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	err = r.f.read.QueryRow(query, args...).Scan(&n)
	return n, err
}

// Seq returns the number of arrival of a record.
func (r *Record) Seq() int64 { return r.seq }

// The bounds of the lists, and the pauses of runs.
const (
	MergeOf  = mergeOf
	PollRest = pollRest
	PollRun  = pollRun
	PushRest = pushRest
	FailRest = failRest
)

// Spoil writes over what blocks hold.
func (j *Journal) Spoil() error {
	_, err := j.f.write.Exec("UPDATE blocks SET facts = x'00010203'")
	return err
}

// Queued returns how many bytes wait to be written.
func (j *Journal) Queued() int64 {
	_, n := j.queue.waiting()
	return n
}
