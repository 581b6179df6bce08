package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/lab/process"
	"github.com/eks-gitops/reconciler/lab/story"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// BenchmarkLabReady is the time from `lab up` to an AWS that answers. Bar: 10 s.
func BenchmarkLabReady(b *testing.B) {
	root := checkout(b)
	for b.Loop() {
		dir := shortDir(b)
		p := story.Programs{Bin: filepath.Join(root, ".cache", "bin"), Env: os.Environ(), Dir: dir}
		lab, err := story.StartLab(b.Context(), p, filepath.Join(dir, "lab"), 60)
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := lab.Down(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkPushToLive is the time from a commit being fetched (the nudge) to its one changed object being live, on the
// sample fleet. Bar: 1 s.
func BenchmarkPushToLive(b *testing.B) {
	s := begin(b, 60)
	s.R.Progress = "json"
	push(b, s, "Run the sample fleet")
	if err := s.R.Start("clusters/dev"); err != nil {
		b.Fatal(err)
	}
	settle(b, s, run.Converged)
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		b.Fatal(err)
	}
	var total time.Duration
	n := 0
	for b.Loop() {
		n++
		value := strconv.Itoa(n)
		if err := s.Fleet.Write("clusters/dev/apps/guestbook/note.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: note, namespace: guestbook}\ndata: {n: \""+value+"\"}\n"); err != nil {
			b.Fatal(err)
		}
		if n == 1 {
			edit(b, s, "clusters/dev/apps/guestbook/kustomization.yaml", "  - ../../../../apps/guestbook\n", "  - ../../../../apps/guestbook\n  - note.yaml\n")
		}
		push(b, s, "Note "+value)
		commit, err := s.Fleet.Head(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		var live time.Time
		err = process.Poll(b.Context(), 5*time.Millisecond, "the note to be live", func(ctx context.Context) (bool, error) {
			note, err := dev.Kube.CoreV1().ConfigMaps("guestbook").Get(ctx, "note", metav1.GetOptions{})
			live = time.Now()
			return err == nil && note.Data["n"] == value, nil
		})
		if err != nil {
			b.Fatal(err)
		}
		total += live.Sub(fetchedAt(b, s, commit))
		settle(b, s, run.Converged)
	}
	b.ReportMetric(total.Seconds()/float64(n), "s/nudge-to-live")
}

// fetchedAt is when the daemon fetched a commit, by its own event.
func fetchedAt(tb testing.TB, s *story.Story, commit string) time.Time {
	tb.Helper()
	f, err := os.Open(s.R.Log())
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	scanner := bufio.NewScanner(f)
	scanner.Buffer(nil, 16<<20)
	for scanner.Scan() {
		e, err := run.DecodeEvent(scanner.Bytes())
		if fetched, ok := e.(run.Fetched); err == nil && ok && fetched.Revision.Hash == commit {
			return fetched.At
		}
	}
	tb.Fatalf("the daemon's log does not say when %s was fetched", commit)
	return time.Time{}
}

// BenchmarkIdle watches a converged daemon for a minute: what it costs to keep the sample fleet equal to git. Bars: no
// request per object beyond watches and one describe sweep per interval; 120 MB of resident memory.
func BenchmarkIdle(b *testing.B) {
	s := begin(b, 60)
	if err := s.Fleet.Write("clusters/dev/reconcile.yaml", "interval: 1m\n"); err != nil {
		b.Fatal(err)
	}
	push(b, s, "Run the sample fleet")
	if err := s.R.Start("clusters/dev"); err != nil {
		b.Fatal(err)
	}
	settle(b, s, run.Converged)
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		aws, kube := awsRequests(b, s), kubeRequests(b, dev)
		// A minute of doing nothing is what is measured.
		time.Sleep(time.Minute)
		b.ReportMetric(float64(awsRequests(b, s)-aws), "aws-requests/min")
		b.ReportMetric(float64(kubeRequests(b, dev)-kube), "object-requests/min")
		b.ReportMetric(resident(b, s.R.PID())/1e6, "MB-RSS")
	}
}

// kubeRequests counts what the API server answered about objects of the kinds in the sample fleet, other than watches.
func kubeRequests(tb testing.TB, c *story.Cluster) int {
	tb.Helper()
	text, err := c.Kube.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	total := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "apiserver_request_total{") || strings.Contains(line, `verb="WATCH"`) {
			continue
		}
		for _, kind := range []string{"deployments", "services", "configmaps", "serviceaccounts", "clusterroles", "clusterrolebindings", "rolebindings", "namespaces", "apiservices", "poddisruptionbudgets"} {
			if strings.Contains(line, `resource="`+kind+`"`) && strings.Contains(line, `subresource=""`) {
				var count float64
				if _, err := fmt.Sscan(line[strings.LastIndex(line, " ")+1:], &count); err != nil {
					tb.Fatal(err)
				}
				total += int(count)
			}
		}
	}
	return total
}

// awsRequests is the number of the last request that the simulated AWS logged. A cluster cannot have been made without
// any, so none means that the count itself is broken.
func awsRequests(tb testing.TB, s *story.Story) int {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodGet, s.Lab.Var("AWS_ENDPOINT_URL")+"/_sim/requests", nil)
	if err != nil {
		tb.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // only read
	var log []struct {
		Seq int `json:"seq"`
	}
	if err := json.NewDecoder(response.Body).Decode(&log); err != nil {
		tb.Fatal(err)
	}
	if len(log) == 0 || log[len(log)-1].Seq == 0 {
		tb.Fatal("the simulated AWS logged no request")
	}
	return log[len(log)-1].Seq
}

// resident is the resident set of a process in bytes.
func resident(tb testing.TB, pid int) float64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kb); err == nil {
			return kb * 1024
		}
	}
	tb.Fatal("no VmRSS")
	return 0
}
