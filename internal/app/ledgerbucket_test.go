package app_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gaplesslogs/gapless/internal/app"
	"github.com/gaplesslogs/gapless/internal/config"
	"github.com/gaplesslogs/gapless/internal/emulator"
	"github.com/gaplesslogs/gapless/internal/emulator/moto"
	"github.com/gaplesslogs/gapless/internal/emulator/tenant"
	"github.com/gaplesslogs/gapless/internal/ledger"
	"github.com/gaplesslogs/gapless/internal/web"
)

// A bucketServer is what the ledger needs of S3, with paths that name the bucket. Pages
// are short.
type bucketServer struct {
	tb testing.TB

	mu      sync.Mutex
	objects map[string]string
	puts    map[string]int // that were tried, by key
	fault   func(w http.ResponseWriter, r *http.Request, key string) (done bool)
}

// page is how many names a page has.
const page = 3

// ServeHTTP implements http.Handler.
func (b *bucketServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key, ok := strings.CutPrefix(r.URL.Path, "/audit-bucket")
	key = strings.TrimPrefix(key, "/")
	if !ok || r.Header.Get("Authorization") == "" {
		refuse(w, http.StatusForbidden, "AccessDenied")
		return
	}
	if r.Method == http.MethodPut {
		b.puts[key]++
	}
	if b.fault != nil && b.fault(w, r, key) {
		return
	}
	switch {
	case r.Method == http.MethodPut:
		b.put(w, r, key)
	case r.Method == http.MethodGet && key == "":
		b.list(w, r)
	case r.Method == http.MethodGet:
		body, ok := b.objects[key]
		if !ok {
			refuse(w, http.StatusNotFound, "NoSuchKey")
			return
		}
		_, _ = io.WriteString(w, body)
	default:
		b.tb.Errorf("%s %s", r.Method, r.URL)
		refuse(w, http.StatusMethodNotAllowed, "MethodNotAllowed")
	}
}

// refuse answers with an error of S3.
func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, "<Error><Code>"+code+"</Code><Message>of the test</Message></Error>")
}

// put takes an object that is not there yet.
func (b *bucketServer) put(w http.ResponseWriter, r *http.Request, key string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		b.tb.Error(err)
	}
	sum := sha256.Sum256(body)
	if r.Header.Get("If-None-Match") != "*" || r.Header.Get("X-Amz-Checksum-Sha256") != base64.StdEncoding.EncodeToString(sum[:]) {
		b.tb.Errorf("a write without condition or checksum: %v", r.Header)
	}
	if _, ok := b.objects[key]; ok {
		refuse(w, http.StatusPreconditionFailed, "PreconditionFailed")
		return
	}
	b.objects[key] = string(body)
}

// list answers a ListObjectsV2.
func (b *bucketServer) list(w http.ResponseWriter, r *http.Request) {
	type prefixed struct{ Prefix string }
	type object struct{ Key string }
	var out struct {
		XMLName               xml.Name `xml:"ListBucketResult"`
		IsTruncated           bool
		NextContinuationToken string
		Contents              []object
		CommonPrefixes        []prefixed
	}
	q := r.URL.Query()
	var names []string
	for key := range b.objects {
		rest, ok := strings.CutPrefix(key, q.Get("prefix"))
		if !ok {
			continue
		}
		if d := q.Get("delimiter"); d != "" {
			if dir, _, cut := strings.Cut(rest, d); cut {
				key = q.Get("prefix") + dir + d
			}
		}
		names = append(names, key)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	after := q.Get("continuation-token")
	for _, name := range names {
		switch {
		case name <= after:
		case len(out.Contents)+len(out.CommonPrefixes) == page:
			out.IsTruncated = true
		case strings.HasSuffix(name, "/"):
			out.CommonPrefixes, out.NextContinuationToken = append(out.CommonPrefixes, prefixed{name}), name
		default:
			out.Contents, out.NextContinuationToken = append(out.Contents, object{name}), name
		}
	}
	if err := xml.NewEncoder(w).Encode(out); err != nil {
		b.tb.Error(err)
	}
}

// set sets the fault.
func (b *bucketServer) set(fault func(http.ResponseWriter, *http.Request, string) bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.fault = fault
}

// keys lists the objects.
func (b *bucketServer) keys() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k := range b.objects {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// bucketWorld is a world with a bucket.
func bucketWorld(t *testing.T, dir string) (*world, *bucketServer) {
	t.Helper()
	w := newWorld(t, filepath.Join(dir, "data"), tenant.Professional, "acme")
	b := &bucketServer{tb: t, objects: make(map[string]string), puts: make(map[string]int)}
	w.hosts["s3.example.com"] = emulator.Transport(b)
	w.cfg.Ledger.S3 = config.LedgerS3{URL: "s3://audit-bucket/gap/x", Endpoint: "http://s3.example.com"}
	w.cfg.Tenants[0].PollInterval = time.Minute // hours pass
	return w, b
}

// lines are those of the ledger in the store.
func (w *world) lines(ctx context.Context, t *testing.T) (list []string) {
	t.Helper()
	err := app.LedgerEntries(ctx, w.cfg, "acme", app.MainDestination, func(line []byte) error {
		list = append(list, string(line)+"\n")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// inBucket returns what is in the bucket, in the order of the keys.
func (b *bucketServer) inBucket() (list []string) {
	for _, k := range b.keys() {
		list = append(list, b.objects[k])
	}
	return list
}

// TestLedgerInABucket publishes to S3 while it fails, refuses and loses answers: in the
// end each entry is there once, in its order, and an auditor reads it from there, or from
// a copy. Delivery hears nothing of it.
func TestLedgerInABucket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w, b := bucketWorld(t, dir)
		defer w.close(ctx, t)
		n := 0
		b.set(func(rw http.ResponseWriter, r *http.Request, key string) bool {
			if r.Method != http.MethodPut {
				return false
			}
			switch n++; n % 4 {
			case 0: // it is there, and nobody hears of it
				b.put(rw, r, key)
				fallthrough
			case 1:
				refuse(rw, http.StatusInternalServerError, "InternalError")
				return true
			case 2:
				refuse(rw, http.StatusConflict, "ConditionalRequestConflict")
				return true
			}
			return false
		})
		s := w.sites[0]
		w.start(ctx, t)
		s.live(ctx, t, 0.01)
		<-time.After(6 * time.Hour)
		if s.behind() > 3*time.Minute {
			t.Errorf("delivery is behind by %s", s.behind())
		}
		b.set(nil)
		<-time.After(2 * time.Hour)
		s.quit()
		w.stop(ctx, t, w.cfg.ShutdownTimeout)
		if got, want := b.inBucket(), w.lines(ctx, t); len(want) < 6 || !slices.Equal(got, want) {
			t.Errorf("in the bucket are %d entries, in the store %d", len(got), len(want))
		}
		for _, k := range b.keys() {
			if ok, err := filepath.Match("gap/x/acme/cloudwatch/20[0-9][0-9]/[01][0-9]/[0-3][0-9]/20??????T??????Z-*-?????????.json", k); !ok || err != nil {
				t.Errorf("key %s, %v", k, err)
			}
		}
		w.auditsBucket(ctx, t, b, dir)
	})
}

// auditsBucket checks the ledger from the bucket, and from a copy.
func (w *world) auditsBucket(ctx context.Context, t *testing.T, b *bucketServer, dir string) {
	t.Helper()
	own := w.cfg.Ledger.S3.URL
	for _, key := range b.keys() {
		name := filepath.Join(dir, "copy", strings.TrimPrefix(key, "gap/x/"))
		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(b.objects[key]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, from := range []string{"s3", own, own + "/", filepath.Join(dir, "copy")} {
		r, results := w.audit(ctx, t, func(v *app.LedgerAudit) { v.From = from })
		if !r.Clean() || len(results) > 0 || len(r.Record.Entries) != len(b.objects) || r.Summary.Events == 0 {
			t.Errorf("from %s: %+v, %+v, %+v", from, r.Summary, r.Record.Problems, results)
		}
	}
	keys := b.keys()
	kept := b.objects[keys[3]]
	faults := func() (list []ledger.Fault) {
		r, _ := w.audit(ctx, t, func(v *app.LedgerAudit) { v.From = own })
		for _, p := range r.Record.Problems {
			list = append(list, p.Fault)
		}
		return list
	}
	delete(b.objects, keys[3])
	if got := faults(); !slices.Equal(got, []ledger.Fault{ledger.Lost}) {
		t.Errorf("an object is gone: %v", got)
	}
	b.objects[keys[3]] = strings.Replace(kept, `"count":`, `"count":1`, 1)
	if got := faults(); !slices.Equal(got, []ledger.Fault{ledger.Altered}) {
		t.Errorf("an object was altered: %v", got)
	}
	v := app.LedgerAudit{Tenant: "acme"}
	for from, want := range map[string]string{"s3://audit-bucket/elsewhere": "there is no entry", "s3://other/x": "AccessDenied", "s3://a_b": "not the URL of a bucket"} {
		v.From = from
		if _, err := app.AuditLedger(ctx, w.options(), v, func(string, ledger.Result) error { return nil }); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("from %s: %v", from, err)
		}
	}
}

// TestLedgerInABucketOfOtherBytes finds something else where an entry belongs: it is
// told, delivery goes on, and nothing is overwritten.
func TestLedgerInABucketOfOtherBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w, b := bucketWorld(t, dir)
		defer w.close(ctx, t)
		planted := ""
		b.set(func(_ http.ResponseWriter, r *http.Request, key string) bool {
			if r.Method == http.MethodPut && planted == "" && len(b.objects) == 1 {
				planted = key
				b.objects[key] = "{}\n"
			}
			return false
		})
		s := w.sites[0]
		w.start(ctx, t)
		s.live(ctx, t, 0.01)
		<-time.After(4 * time.Hour)
		troubled := func() bool {
			return slices.ContainsFunc(w.overview(ctx, t, "acme").Troubles, func(x web.Trouble) bool {
				return x.Part == app.LedgerPart && strings.Contains(x.Message, "not the entry") && x.Hint != ""
			})
		}
		if !troubled() || s.behind() > 3*time.Minute || planted == "" || b.objects[planted] != "{}\n" || len(b.keys()) != 2 {
			t.Errorf("told: %t, behind by %s, planted %q, objects %v", troubled(), s.behind(), planted, b.keys())
		}
		b.mu.Lock()
		delete(b.objects, planted)
		b.mu.Unlock()
		<-time.After(time.Hour)
		s.quit()
		w.stop(ctx, t, w.cfg.ShutdownTimeout)
		if got, want := b.inBucket(), w.lines(ctx, t); !slices.Equal(got, want) {
			t.Errorf("in the bucket are %d entries, in the store %d", len(got), len(want))
		}
	})
}

// TestLedgerInABucketAfterALostStore begins a chain that names the last entry of the
// bucket.
func TestLedgerInABucketAfterALostStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		ctx := t.Context()
		w, b := bucketWorld(t, dir)
		defer w.close(ctx, t)
		s := w.sites[0]
		run := func() {
			w.start(ctx, t)
			<-time.After(4 * time.Hour)
			w.stop(ctx, t, w.cfg.ShutdownTimeout)
		}
		s.live(ctx, t, 0.01)
		run()
		before := b.inBucket()
		last, err := ledger.Parse([]byte(before[len(before)-1]))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.RemoveAll(w.cfg.DataDir); err != nil {
			t.Fatal(err)
		}
		w.cfg.Tenants[0].StartFrom = "latest"
		run()
		s.quit()
		start, err := ledger.Parse([]byte(b.inBucket()[len(before)]))
		if err != nil {
			t.Fatal(err)
		}
		if start.Kind != ledger.Start || start.Continues == nil || *start.Continues != last.Head() {
			t.Errorf("the new chain begins with %+v, behind %+v", start, last.Head())
		}
		if r, _ := w.audit(ctx, t, func(v *app.LedgerAudit) { v.From = "s3" }); len(r.Record.Problems) > 0 {
			t.Errorf("%+v", r.Record.Problems)
		}
	})
}

// TestLedgerInMoto publishes to a bucket of an emulator of others, twice, and reads it.
func TestLedgerInMoto(t *testing.T) {
	t.Parallel()
	endpoint := moto.Start(t)
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	client := &http.Client{Transport: transport}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, endpoint+"/audit-bucket", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("create the bucket: %s, %v", resp.Status, err)
	}
	w := newWorld(t, filepath.Join(t.TempDir(), "data"), tenant.Unlimited, "acme")
	defer w.close(t.Context(), t)
	s := w.sites[0]
	if err := s.tenant.Generate(200, time.Now().Add(-5*time.Hour), time.Now().Add(-2*time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.once = true
	w.cfg.Ledger.S3 = config.LedgerS3{URL: "s3://audit-bucket/gap", Endpoint: endpoint}
	base := w.hosts
	w.hosts = map[string]http.RoundTripper{strings.TrimPrefix(endpoint, "http://"): transport}
	maps.Copy(w.hosts, base)
	w.start(t.Context(), t)
	<-w.app.Done()
	w.stop(t.Context(), t, w.cfg.ShutdownTimeout)
	r, results := w.audit(t.Context(), t, func(v *app.LedgerAudit) { v.From = "s3" })
	if !r.Clean() || len(results) > 0 || len(r.Record.Entries) < 4 || len(r.Record.Entries) != len(w.lines(t.Context(), t)) {
		t.Errorf("%+v, %+v, %+v", r.Summary, r.Record.Problems, results)
	}
}
