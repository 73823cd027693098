package source_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gaplesslogs/gapless/internal/event"
	"github.com/gaplesslogs/gapless/internal/source"
)

// Files are read to their end, whatever is wrong with a line of them.
func ExampleOpenFiles() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	path := filepath.Join(dir, "logs.jsonl")
	text := `{"log_id":"a","type":"s"}` + "\nnot JSON\n" + `{"log_id":"b","type":"f"}` + "\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		fmt.Println(err)
		return
	}
	files, err := source.OpenFiles(context.Background(), []string{path})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	done := errors.New("all is read")
	err = files.Run(ctx, "", func(_ context.Context, p event.Page) error {
		for _, e := range p.Events {
			fmt.Println(e.LogID, e.Type)
		}
		if p.CaughtUp {
			cancel(done)
		}
		return nil
	})
	fmt.Println(err)
	for _, x := range files.Progress().Problems {
		fmt.Printf("line %d: %s\n", x.Line, x.Reason)
	}
	// Output:
	// a s
	// b f
	// all is read
	// line 2: not valid JSON
}
