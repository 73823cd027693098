package cloudwatch

import (
	"errors"
	"os"
	"path/filepath"
)

// compactEvents is how many events compact writes into one record.
const compactEvents = 1000

// compact replaces the journal by one that holds what is left, and nothing of
// what was deleted. The new file takes the place of the old one in one step, so
// a crash leaves either.
func (j *journal) compact(path string, s *store) (err error) {
	temp := path + ".new"
	file, err := os.OpenFile(filepath.Clean(temp), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	fresh := &journal{file: file}
	if err := fresh.fill(s); err != nil {
		return errors.Join(err, file.Close(), os.Remove(temp))
	}
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, file.Close(), os.Remove(temp))
	}
	err = j.file.Close()
	j.file, j.size = fresh.file, fresh.size
	return err
}

// fill writes everything that s holds.
func (j *journal) fill(s *store) error {
	if err := j.start(); err != nil {
		return err
	}
	if _, err := j.file.Seek(j.size, 0); err != nil {
		return err
	}
	for _, name := range sortedNames(s.groups, "") {
		g := s.groups[name]
		if err := j.group(g); err != nil {
			return err
		}
		for _, stream := range sortedNames(g.streams, "") {
			if err := j.fillStream(g, g.streams[stream]); err != nil {
				return err
			}
		}
	}
	return j.file.Sync()
}

// fillStream writes a stream. Events that came together and still stand together
// share a record; the others, which late batches have torn apart, do not.
func (j *journal) fillStream(g *logGroup, st *logStream) error {
	if err := j.stream(g.Name, st.name, st.created); err != nil {
		return err
	}
	for at := 0; at < len(st.events); {
		first := st.events[at]
		b := batch{group: g.Name, stream: st.name, ingested: first.ingested, firstSeq: first.seq}
		for ; at < len(st.events) && len(b.events) < compactEvents; at++ {
			e := st.events[at]
			if e.seq != first.seq+uint64(len(b.events)) || e.ingested != first.ingested {
				break
			}
			b.events = append(b.events, inputEvent{time: e.time, message: e.message})
		}
		if err := j.events(b); err != nil {
			return err
		}
	}
	return nil
}
