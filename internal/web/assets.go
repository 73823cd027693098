package web

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"path"
	"time"
)

//go:embed static
var staticFiles embed.FS

// assets are the files under /static/, each with the mark by which a browser asks
// whether it has changed.
type assets struct {
	files map[string][]byte
	marks map[string]string
}

// loadAssets reads them.
func loadAssets() (*assets, error) {
	a := &assets{files: make(map[string][]byte), marks: make(map[string]string)}
	entries, err := fs.ReadDir(staticFiles, "static")
	if err != nil {
		return nil, fmt.Errorf("list the assets: %w", err)
	}
	for _, e := range entries {
		b, err := staticFiles.ReadFile(path.Join("static", e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read the asset: %w", err)
		}
		sum := sha256.Sum256(b)
		a.files[e.Name()], a.marks[e.Name()] = b, `"`+hex.EncodeToString(sum[:12])+`"`
	}
	return a, nil
}

// ServeHTTP implements http.Handler.
func (a *assets) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	b, ok := a.files[name]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Cache-Control", "no-cache") // kept, and asked for: a new version shows at once
	w.Header().Set("ETag", a.marks[name])
	if path.Ext(name) == ".js" { // the tables of some systems say otherwise
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}
