package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
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

// Pacing of BenchmarkIdle: the daemon looks at everything once per idleInterval, and is watched for no less than idleWindow,
// which holds several of those looks.
const (
	idleInterval = 30 * time.Second
	idleWindow   = 150 * time.Second
)

// BenchmarkIdle watches a converged daemon doing nothing: what it costs to keep the sample fleet equal to git. One iteration
// is one interval; fewer of them than idleWindow are made up to it. Bars: no request per object beyond watches and one
// describe sweep per interval; 120 MB of resident memory, in the end and at any time in between.
func BenchmarkIdle(b *testing.B) {
	s := begin(b, 60)
	if err := s.Fleet.Write("clusters/dev/reconcile.yaml", "interval: "+idleInterval.String()+"\n"); err != nil {
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
	creation := usageOf(b, s.R.PID())
	sweepsAfter(b, s, 2)
	forgetPeak(b, s.R.PID())
	before, kube, seen := usageOf(b, s.R.PID()), kubeRequests(b, dev), lastRequest(b, s)
	began := time.Now()
	for b.Loop() {
		// Doing nothing is what is measured.
		time.Sleep(idleInterval)
	}
	time.Sleep(idleWindow - time.Since(began))
	minutes := time.Since(began).Minutes()
	after, requests := usageOf(b, s.R.PID()), awsRequests(b, s, seen)
	sweeps := float64(sweepsIn(requests))
	if sweeps == 0 {
		b.Fatalf("no sweep in %.1f minutes", minutes)
	}
	b.ReportMetric(sweeps, "sweeps")
	b.ReportMetric(float64(len(requests))/sweeps, "aws-requests/sweep")
	b.ReportMetric(float64(len(requests))/minutes, "aws-requests/min")
	objects := 0
	for what, n := range kubeRequests(b, dev) {
		if n -= kube[what]; n > 0 {
			b.Logf("%d x %s", n, what)
			objects += n
		}
	}
	b.ReportMetric(float64(objects)/minutes, "object-requests/min")
	b.ReportMetric(before.resident, "MB-RSS-start")
	b.ReportMetric(after.resident, "MB-RSS-end")
	b.ReportMetric(after.peak, "MB-RSS-peak")
	b.ReportMetric(creation.peak, "MB-RSS-peak-creating")
	b.ReportMetric((after.cpu-before.cpu).Seconds()/minutes, "cpu-s/min")
	b.ReportMetric(0, "ns/op") // an iteration lasts as long as it sleeps
}

// kubeRequests counts what the API server answered about objects of the kinds in the sample fleet, other than watches, by verb,
// kind and answer. It is everybody's requests: the reconciler's are no more than these.
func kubeRequests(tb testing.TB, c *story.Cluster) map[string]int {
	tb.Helper()
	text, err := c.Kube.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	kinds := []string{
		"deployments", "services", "configmaps", "serviceaccounts", "clusterroles", "clusterrolebindings", "rolebindings",
		"namespaces", "apiservices", "poddisruptionbudgets",
	}
	counts := map[string]int{}
	for line := range strings.Lines(string(text)) {
		series, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		series, ours := strings.CutPrefix(series, "apiserver_request_total{")
		if !ours {
			continue
		}
		label := map[string]string{}
		for pair := range strings.SplitSeq(series, ",") {
			name, quoted, _ := strings.Cut(pair, "=")
			label[name] = strings.Trim(quoted, `"`)
		}
		if label["verb"] == "WATCH" || label["subresource"] != "" || !slices.Contains(kinds, label["resource"]) {
			continue
		}
		count, err := strconv.ParseFloat(value, 64)
		if err != nil {
			tb.Fatal(err)
		}
		counts[label["verb"]+" "+label["resource"]+" "+label["code"]] += int(count)
	}
	if len(counts) == 0 {
		tb.Fatal("the API server counted no request")
	}
	return counts
}

// awsRequest is a line of the simulated AWS's request log.
type awsRequest struct {
	Seq       int           `json:"seq"`
	Time      time.Time     `json:"time"`
	Took      time.Duration `json:"took"`
	Service   string        `json:"service"`
	Operation string        `json:"operation"`
	Status    int           `json:"status"`
}

// awsRequests are the requests that the simulated AWS logged after the one numbered since. Its log is a ring; a window that
// outgrew it cannot be counted.
func awsRequests(tb testing.TB, s *story.Story, since int) []awsRequest {
	tb.Helper()
	var log []awsRequest
	simulator(tb, s, http.MethodGet, fmt.Sprintf("/_sim/requests?since=%d", since), "", &log)
	if len(log) > 0 && since > 0 && log[0].Seq != since+1 {
		tb.Fatalf("the simulated AWS kept its requests from %d on only, not from %d", log[0].Seq, since+1)
	}
	return log
}

// lastRequest is the number of the last request that the simulated AWS logged. A cluster cannot have been made without any,
// so none means that the count itself is broken.
func lastRequest(tb testing.TB, s *story.Story) int {
	tb.Helper()
	log := awsRequests(tb, s, 0)
	if len(log) == 0 {
		tb.Fatal("the simulated AWS logged no request")
	}
	return log[len(log)-1].Seq
}

// sweepsIn counts the describe sweeps: each lists the cluster's nodegroups once.
func sweepsIn(log []awsRequest) int {
	n := 0
	for _, r := range log {
		if r.Service == "eks" && r.Operation == "ListNodegroups" {
			n++
		}
	}
	return n
}

// sweepsAfter waits until the daemon swept some more times.
func sweepsAfter(tb testing.TB, s *story.Story, n int) {
	tb.Helper()
	since := lastRequest(tb, s)
	err := process.Poll(tb.Context(), time.Second, fmt.Sprintf("%d more sweeps", n), func(context.Context) (bool, error) {
		return sweepsIn(awsRequests(tb, s, since)) >= n, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// usage is what a process uses: resident memory now and at its peak, in MB (10^6 bytes), and processor time so far.
type usage struct {
	resident, peak float64
	cpu            time.Duration
}

// usageOf reads /proc (proc_pid_status(5), proc_pid_stat(5)).
func usageOf(tb testing.TB, pid int) usage {
	tb.Helper()
	var u usage
	for line := range strings.Lines(procFile(tb, pid, "status")) {
		var kb float64
		if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kb); err == nil {
			u.resident = kb * 1024 / 1e6
		}
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kb); err == nil {
			u.peak = kb * 1024 / 1e6
		}
	}
	// After the name in parentheses come the fields from the third on; the 14th and 15th are user and system time in ticks,
	// of which Linux shows 100 a second.
	stat := procFile(tb, pid, "stat")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	for _, field := range fields[11:13] {
		ticks, err := strconv.Atoi(field)
		if err != nil {
			tb.Fatal(err)
		}
		u.cpu += time.Duration(ticks) * time.Second / 100
	}
	if u.resident == 0 || u.peak == 0 {
		tb.Fatalf("process %d has no VmRSS or VmHWM", pid)
	}
	return u
}

func procFile(tb testing.TB, pid int, name string) string {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// forgetPeak makes the peak of a process's resident memory count from now on (proc_pid_clear_refs(5)).
func forgetPeak(tb testing.TB, pid int) {
	tb.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		tb.Fatal(err)
	}
}
