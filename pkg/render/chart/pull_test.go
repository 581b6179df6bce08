package chart_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/render/chart"
)

// archive is a chart that renders one ConfigMap.
func archive(t *testing.T, name, version string) []byte {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	w := tar.NewWriter(zip)
	for file, text := range map[string]string{
		"Chart.yaml":        "apiVersion: v2\nname: " + name + "\nversion: " + version + "\n",
		"templates/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: {{ .Release.Name }}}\n",
	} {
		if err := w.WriteHeader(&tar.Header{Name: name + "/" + file, Mode: 0o644, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// server is a repository of charts, with an index and as a registry, that wants a login.
type server struct {
	*httptest.Server
	chart  []byte
	digest string
	asked  atomic.Int64
	status atomic.Int64
	silent chan struct{}
}

const user, password = "robot", "hunter2"

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{chart: archive(t, "web", "1.2.3")}
	s.digest = sum(s.chart)
	s.Server = httptest.NewTLSServer(http.HandlerFunc(s.answer))
	t.Cleanup(s.Close)
	return s
}

func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	if s.silent != nil {
		select {
		case <-s.silent:
		case <-r.Context().Done():
		}
		return
	}
	if code := int(s.status.Load()); code != 0 {
		w.WriteHeader(code)
		return
	}
	if u, p, ok := r.BasicAuth(); !ok || u != user || p != password {
		w.Header().Set("WWW-Authenticate", `Basic realm="charts"`)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	config := []byte("{}")
	manifest, _ := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": "sha256:" + sum(config), "size": len(config)},
		"layers": []any{map[string]any{"mediaType": "application/vnd.cncf.helm.chart.content.v1.tar+gzip", "digest": "sha256:" + s.digest, "size": len(s.chart)}},
	})
	switch r.URL.Path {
	case "/stable/index.yaml":
		fmt.Fprintf(w, "apiVersion: v1\nentries:\n  web:\n  - {version: 2.0.0, urls: [web-2.0.0.tgz]}\n  - {version: 1.2.3, digest: %s, urls: [files/web-1.2.3.tgz]}\n  plain:\n  - {version: 1.2.3, urls: [\"http://example.com/x.tgz\"]}\n", s.digest)
	case "/stable/files/web-1.2.3.tgz", "/v2/team/web/blobs/sha256:" + s.digest:
		_, _ = w.Write(s.chart)
	case "/v2/team/web/manifests/1.2.3", "/v2/team/web/manifests/1.2.3_build":
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = w.Write(manifest)
	default:
		w.WriteHeader(http.StatusNotFound)
	}
}

func (s *server) host() string { return strings.TrimPrefix(s.URL, "https://") }

// options trust the server and hold its login.
func (s *server) options(t *testing.T) chart.Options {
	t.Helper()
	dir := t.TempDir()
	o := chart.Options{CAFile: filepath.Join(dir, "ca.pem"), LoginFile: filepath.Join(dir, "config.json")}
	write(t, o.CAFile, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})))
	write(t, o.LoginFile, `{"auths": {"`+s.host()+`": {"auth": "`+base64.StdEncoding.EncodeToString([]byte(user+":"+password))+`"}}}`)
	return o
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *server) sources() map[string]chart.Source {
	return map[string]chart.Source{
		"https": {Repo: s.URL + "/stable", Name: "web", Version: "1.2.3"},
		"oci":   {Repo: "oci://" + s.host() + "/team", Name: "web", Version: "1.2.3"},
		"plus":  {Repo: "oci://" + s.host() + "/team/", Name: "web", Version: "1.2.3+build"},
		"v":     {Repo: s.URL + "/stable/", Name: "web", Version: "v1.2.3"},
	}
}

func TestPulls(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for name, source := range s.sources() {
		t.Run(name, func(t *testing.T) {
			if err := source.Check(); err != nil {
				t.Fatal(err)
			}
			body, failed := chart.NewPuller(s.options(t)).Pull(t.Context(), source)
			if failed != nil {
				t.Fatal(failed)
			}
			c, err := chart.Open(body)
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.Render(chart.Release{Name: "a", Namespace: "b"})
			if err != nil || len(out) != 1 || out[0].Path != "web/templates/cm.yaml" {
				t.Errorf("rendered %v, %v", out, err)
			}
		})
	}
}

// TestKeepsWhatItFetched: a version is fetched once, also by the next process, whatever the repository does then.
func TestKeepsWhatItFetched(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{"memory": "", "folder": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			o := s.options(t)
			o.Cache = folder
			p := chart.NewPuller(o)
			for _, source := range s.sources() {
				if _, failed := p.Pull(t.Context(), source); failed != nil {
					t.Fatal(failed)
				}
			}
			asked := s.asked.Load()
			s.status.Store(http.StatusTeapot)
			if folder != "" {
				p = chart.NewPuller(o)
			}
			for _, source := range s.sources() {
				if body, failed := p.Pull(t.Context(), source); failed != nil || !bytes.Equal(body, s.chart) {
					t.Errorf("%s is not kept: %v", source, failed)
				}
			}
			if s.asked.Load() != asked {
				t.Error("the repository was asked again")
			}
			if folder == "" {
				return
			}
			files, err := filepath.Glob(filepath.Join(folder, "*.tgz"))
			if err != nil || len(files) != len(s.sources()) {
				t.Fatal(files, err)
			}
			for _, file := range files {
				write(t, file, "damaged")
			}
			if _, failed := p.Pull(t.Context(), s.sources()["https"]); failed == nil {
				t.Error("a damaged file is used")
			}
		})
	}
}

func TestTellsWhyAChartDoesNotCome(t *testing.T) {
	t.Parallel()
	s := serve(t)
	https, oci := s.sources()["https"], s.sources()["oci"]
	with := func(source chart.Source, name, version string) chart.Source {
		source.Name, source.Version = name, version
		return source
	}
	for name, c := range map[string]struct {
		source chart.Source
		change func(*chart.Options)
		want   string
	}{
		"no chart":        {source: with(https, "none", "1.2.3"), want: "the repository has no chart of that name"},
		"no version":      {source: with(https, "web", "3.0.0"), want: "the repository has no such version of the chart"},
		"not https":       {source: with(https, "plain", "1.2.3"), want: "the index leads to http://example.com"},
		"no file":         {source: with(https, "web", "2.0.0"), want: "answers 404"},
		"no tag":          {source: with(oci, "web", "3.0.0"), want: "not found"},
		"no index":        {source: chart.Source{Repo: s.URL + "/none", Name: "web", Version: "1.2.3"}, want: "answers 404"},
		"no login":        {source: https, change: func(o *chart.Options) { o.LoginFile = "" }, want: "answers 401"},
		"no login oci":    {source: oci, change: func(o *chart.Options) { o.LoginFile = "" }, want: "basic credential not found"},
		"login not there": {source: https, change: func(o *chart.Options) { o.LoginFile += "x" }, want: "reading the logins: open"},
		"no trust":        {source: https, change: func(o *chart.Options) { o.CAFile = "" }, want: "certificate"},
		"no port":         {source: chart.Source{Repo: "https://127.0.0.1:1", Name: "web", Version: "1.2.3"}, want: "connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := s.options(t)
			if c.change != nil {
				c.change(&o)
			}
			_, failed := chart.NewPuller(o).Pull(t.Context(), c.source)
			if failed == nil || failed.Reason != gitops.ChartUnavailable || !strings.Contains(failed.Error(), c.want) {
				t.Errorf("got %v, want %s", failed, c.want)
			}
			if failed != nil && strings.Contains(failed.Error(), password) {
				t.Errorf("the password leaks: %v", failed)
			}
		})
	}
}

func TestRefusesWhatTheIndexDoesNotName(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.chart = append(s.chart, 'x')
	for _, kind := range []string{"https", "oci"} {
		if _, failed := chart.NewPuller(s.options(t)).Pull(t.Context(), s.sources()[kind]); failed == nil {
			t.Errorf("%s: another archive than the one that is named was taken", kind)
		}
	}
}

// TestGivesUpASilentRepository, and leaves it alone for a while.
func TestGivesUpASilentRepository(t *testing.T) {
	t.Parallel()
	s := serve(t)
	s.silent = make(chan struct{})
	defer close(s.silent)
	now := time.Unix(0, 0)
	o := s.options(t)
	o.Timeout, o.Now = time.Second, func() time.Time { return now }
	p := chart.NewPuller(o)
	source := s.sources()["https"]
	first := pull(t, p, source)
	if asked := s.asked.Load(); pull(t, p, source) != first || s.asked.Load() != asked {
		t.Error("it is asked again at once")
	}
	now = now.Add(time.Minute)
	asked := s.asked.Load()
	if pull(t, p, source); s.asked.Load() == asked {
		t.Error("it is never asked again")
	}
}

func pull(t *testing.T, p *chart.Puller, source chart.Source) string {
	t.Helper()
	_, failed := p.Pull(t.Context(), source)
	if failed == nil || failed.Reason != gitops.ChartUnavailable {
		t.Fatalf("got %v", failed)
	}
	return failed.Error()
}

func TestLoginsOfDocker(t *testing.T) {
	t.Parallel()
	s := serve(t)
	for name, c := range map[string]struct{ text, want string }{
		"as a URL":      {text: `{"auths": {"https://` + s.host() + `/v1/": {"username": "robot", "password": "hunter2"}}}`},
		"not JSON":      {text: `hunter2`, want: "is not a config.json of docker"},
		"not base64":    {text: `{"auths": {"x": {"auth": "hunter2"}}}`, want: "the auth of x is not user:password in base64"},
		"only programs": {text: `{"credsStore": "desktop"}`, want: "has no auths"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := s.options(t)
			write(t, o.LoginFile, c.text)
			_, failed := chart.NewPuller(o).Pull(t.Context(), s.sources()["https"])
			switch {
			case c.want == "" && failed != nil:
				t.Error(failed)
			case c.want != "" && (failed == nil || !strings.Contains(failed.Error(), c.want)):
				t.Errorf("got %v, want %s", failed, c.want)
			case failed != nil && strings.Contains(failed.Error(), password):
				t.Errorf("the password leaks: %v", failed)
			}
		})
	}
}
