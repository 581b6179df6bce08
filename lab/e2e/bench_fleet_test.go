package e2e

import (
	"context"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/eks-gitops/reconciler/internal/sim/aws"
	"github.com/eks-gitops/reconciler/internal/sim/aws/eks"
	"github.com/eks-gitops/reconciler/internal/sim/aws/fault"
	"github.com/eks-gitops/reconciler/internal/sim/aws/world"
	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/story"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// manyClusters is how many clusters one replica has in BenchmarkEKSFleet.
const manyClusters = 100

// fleetInterval is how often each of them is looked at: the default.
const fleetInterval = 3 * time.Minute

// worldStep is how often the simulated AWS goes on: a world of a hundred clusters takes some 30 ms for that.
const worldStep = 250 * time.Millisecond

// BenchmarkEKSFleet lets one daemon keep a hundred large clusters, each with an overlay of five objects, in one account, and starts it anew
// when all are made. One iteration is a look at all of them. A hundred control planes are more than a machine holds, so
// all clusters have one API server, each a namespace of it, and no nodes; AWS is simulated in this process, with the request limits that AWS
// documents. Bars: the interval is kept, no call is throttled, 400 MB of resident memory.
func BenchmarkEKSFleet(b *testing.B) {
	f := beginFleet(b)
	f.start(b)
	began := time.Now()
	f.converged(b)
	b.Logf("%d clusters were made in %s; %+v", manyClusters, time.Since(began), usageOf(b, f.r.PID()))
	if err := f.r.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
	if _, err := f.aws.Faults().Add(fault.Rule{Effect: fault.Latency, Delay: fault.Duration(latencyOfAWS)}); err != nil {
		b.Fatal(err)
	}
	f.plane.tellApart(b)
	f.aws.Limit(aws.DocumentedLimits()) // not before: AWS is not quicker than life about those
	before := len(f.aws.Requests(0))
	f.start(b)
	began = time.Now()
	rounds := 1
	f.sweeps(b, before, rounds)
	b.Logf("the first look at all of them took %s; %+v", time.Since(began), usageOf(b, f.r.PID()))
	first := usageOf(b, f.r.PID())
	forgetPeak(b, f.r.PID())
	for b.Loop() {
		rounds++
		f.sweeps(b, before, rounds)
	}
	minutes := time.Since(began).Minutes()
	u, log := usageOf(b, f.r.PID()), f.aws.Requests(before)
	throttled, peaks := 0, map[string]int{}
	perSecond := map[string]int{}
	for _, q := range log {
		if q.Code != "" && (q.Status == http.StatusServiceUnavailable || q.Status == http.StatusTooManyRequests || strings.Contains(q.Code, "Throttl")) {
			throttled++
		}
		key := fmt.Sprint(q.Service, " ", q.Time.Unix())
		perSecond[key]++
		peaks[q.Service] = max(peaks[q.Service], perSecond[key])
	}
	b.Logf("most calls in a second, by service: %v", peaks)
	b.ReportMetric(f.slowest(log).Seconds(), "s/longest-interval")
	b.ReportMetric(float64(throttled), "throttled")
	b.ReportMetric(float64(len(log))/float64(rounds*manyClusters), "calls/sweep")
	b.ReportMetric(float64(len(log))/minutes/60, "calls/s")
	for service, peak := range peaks {
		b.ReportMetric(float64(peak), service+"-calls/s-peak")
	}
	b.ReportMetric(u.resident, "MB-RSS-end")
	b.ReportMetric(u.peak, "MB-RSS-peak")
	b.ReportMetric(first.peak, "MB-RSS-peak-starting")
	b.ReportMetric((u.cpu-first.cpu).Seconds()/minutes, "cpu-s/min")
	b.ReportMetric(0, "ns/op") // an iteration lasts as long as the interval
}

// manyFleet is what BenchmarkEKSFleet runs on.
type manyFleet struct {
	aws   *aws.Server
	plane *onePlane
	r     *story.Reconciler
	names []string
}

func beginFleet(b *testing.B) *manyFleet {
	b.Helper()
	root, dir := checkout(b), shortDir(b)
	f := &manyFleet{plane: sharedPlane(b)}
	server, err := aws.New(aws.Options{
		World: world.Options{Region: "eu-west-1", Clock: time.Now, Speed: 3000, Step: worldStep, Seed: 1}, LogSize: 1 << 20,
		ControlPlanes: f.plane, Nodes: anyNode{},
	})
	if err != nil {
		b.Fatal(err)
	}
	f.aws = server
	front := httptest.NewServer(server)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := server.Run(ctx, worldStep); err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(func() { cancel(); running.Wait(); server.Close(); front.Close() })
	key := aws.DefaultKey()
	p := story.Programs{Bin: filepath.Join(root, ".cache", "bin"), Dir: dir, Env: append(os.Environ(),
		"XDG_CONFIG_HOME="+dir, "AWS_ENDPOINT_URL="+front.URL, "AWS_ACCESS_KEY_ID="+key.AccessKey, "AWS_SECRET_ACCESS_KEY="+key.Secret,
		"AWS_REGION=eu-west-1", "AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)}
	repository, err := story.NewFleet(b.Context(), p, dir, root)
	if err != nil {
		b.Fatal(err)
	}
	f.r = &story.Reconciler{Programs: p, Fleet: repository, State: filepath.Join(dir, "state")}
	f.write(b)
	return f
}

// start starts the daemon, which ends with the benchmark at the latest.
func (f *manyFleet) start(b *testing.B) {
	b.Helper()
	if err := f.r.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if b.Failed() {
			if log, err := os.ReadFile(f.r.Log()); err == nil {
				b.Logf("the daemon's log:\n%s", ending(log))
			}
		}
		f.r.Kill()
	})
}

// write puts the clusters into git.
func (f *manyFleet) write(b *testing.B) {
	b.Helper()
	if err := os.MkdirAll(f.r.State, 0o755); err != nil {
		b.Fatal(err)
	}
	if err := f.r.Fleet.Remove("clusters"); err != nil {
		b.Fatal(err)
	}
	for i := range manyClusters {
		name := fmt.Sprintf("c%03d", i)
		f.names = append(f.names, name)
		overlay := filepath.Join("clusters", name, "apps", "shop")
		if err := os.MkdirAll(filepath.Join(f.r.Fleet.Work, overlay), 0o755); err != nil {
			b.Fatal(err)
		}
		cluster := large(name)
		for _, size := range []string{"minSize: 2, maxSize: 4, desiredCapacity: 2", "minSize: 1, maxSize: 4, desiredCapacity: 1", "minSize: 1, maxSize: 3, desiredCapacity: 1"} {
			cluster = strings.ReplaceAll(cluster, size, "minSize: 0, maxSize: 4, desiredCapacity: 0")
		}
		for path, text := range map[string]string{
			filepath.Join("clusters", name, "cluster.yaml"):   cluster,
			filepath.Join("clusters", name, "reconcile.yaml"): "interval: " + fleetInterval.String() + "\n",
			filepath.Join(overlay, "kustomization.yaml"):      "namespace: " + name + "\nresources: [shop.yaml]\n",
			filepath.Join(overlay, "shop.yaml"): `apiVersion: v1
kind: Namespace
metadata: {name: ` + name + `}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shop}
data: {greeting: hello}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: shop}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 0
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec: {serviceAccountName: shop, containers: [{name: shop, image: registry.example/shop:1}]}
`,
		} {
			if err := f.r.Fleet.Write(path, text); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := f.r.Fleet.Push(b.Context(), "Run a hundred clusters"); err != nil {
		b.Fatal(err)
	}
}

// converged waits for every cluster to be as git says.
func (f *manyFleet) converged(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*story.Patience)
	defer cancel()
	commit, err := f.r.Fleet.Head(ctx)
	if err != nil {
		b.Fatal(err)
	}
	for _, name := range f.names {
		if _, err := f.r.Settled(ctx, name, commit, run.Converged); err != nil {
			b.Fatal(err)
		}
	}
}

// sweeps waits until every cluster was swept so many times after a request.
func (f *manyFleet) sweeps(b *testing.B, since, times int) {
	b.Helper()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		counts := map[string]int{}
		for cluster, at := range sweptAt(f.aws.Requests(since)) {
			counts[cluster] = len(at)
		}
		if !slices.ContainsFunc(f.names, func(name string) bool { return counts[name] < times }) {
			return
		}
		select {
		case <-b.Context().Done():
			b.Fatal(b.Context().Err())
		case <-ticker.C:
		}
	}
}

// sweptAt is when each cluster was swept: a sweep lists the nodegroups once.
func sweptAt(log []aws.Request) map[string][]time.Time {
	out := map[string][]time.Time{}
	for _, q := range log {
		if cluster, ok := strings.CutPrefix(q.Path, "/clusters/"); ok && q.Operation == "ListNodegroups" && q.Code == "" {
			cluster, _, _ = strings.Cut(cluster, "/")
			out[cluster] = append(out[cluster], q.Time)
		}
	}
	return out
}

// slowest is the longest time between two sweeps of a cluster.
func (f *manyFleet) slowest(log []aws.Request) time.Duration {
	var longest time.Duration
	for _, at := range sweptAt(log) {
		for i := 1; i < len(at); i++ {
			longest = max(longest, at[i].Sub(at[i-1]))
		}
	}
	return longest
}

// onePlane is the one API server that all clusters have, each below a path of its own.
type onePlane struct {
	endpoint, ca string
	kube         kubernetes.Interface
	mu           sync.Mutex
	versions     map[string]string
	// sets are the ids of the clusters' ApplySets, once they are told apart: a cluster then sees no other's.
	sets map[string]string
}

// tellApart lets each cluster see its own ApplySets only, as if it had an API server of its own.
func (p *onePlane) tellApart(b *testing.B) {
	b.Helper()
	parents, err := p.kube.CoreV1().ConfigMaps("").List(b.Context(), metav1.ListOptions{LabelSelector: setID})
	if err != nil {
		b.Fatal(err)
	}
	if len(parents.Items) != manyClusters {
		b.Fatalf("there are %d ApplySets, want one for each of %d clusters", len(parents.Items), manyClusters)
	}
	sets := map[string]string{}
	for _, parent := range parents.Items {
		sets[parent.Annotations["reconciler.eks-gitops.io/cluster"]] = parent.Labels[setID]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sets = sets
}

// The labels of ApplySets and of their members (KEP-3659).
const (
	setID  = "applyset.kubernetes.io/id"
	partOf = "applyset.kubernetes.io/part-of"
)

// narrow makes a question of a cluster about all ApplySets one about its own.
func (p *onePlane) narrow(cluster string, u *url.URL) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := u.Query()
	if selector := q.Get("labelSelector"); p.sets[cluster] != "" && (selector == setID || selector == partOf) {
		q.Set("labelSelector", selector+"="+p.sets[cluster])
		u.RawQuery = q.Encode()
	}
}

// sharedPlane starts an API server, behind a door that lets every token in: who may come in is not what is measured.
func sharedPlane(b *testing.B) *onePlane {
	b.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", labtest.ControlPlane(b, "--nodes=0"))
	if err != nil {
		b.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		b.Fatal(err)
	}
	to, err := url.Parse(config.Host)
	if err != nil {
		b.Fatal(err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.Fatal(err)
	}
	p := &onePlane{kube: kube, versions: map[string]string{}}
	door := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1,
		Rewrite: func(r *httputil.ProxyRequest) {
			cluster, path, _ := strings.Cut(strings.TrimPrefix(r.Out.URL.Path, "/"), "/")
			r.Out.URL.Path, r.Out.URL.RawPath = "/"+path, ""
			p.narrow(cluster, r.Out.URL)
			r.SetURL(to)
			r.Out.Header.Del("Authorization")
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if !errors.Is(err, context.Canceled) {
				w.WriteHeader(http.StatusBadGateway)
			}
		},
	})
	door.EnableHTTP2 = true
	door.StartTLS()
	b.Cleanup(func() { door.CloseClientConnections(); door.Close() })
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: door.Certificate().Raw})
	p.endpoint, p.ca = door.URL, base64.StdEncoding.EncodeToString(ca)
	return p
}

// Ensure implements eks.ControlPlanes.
func (p *onePlane) Ensure(want eks.ControlPlane) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.versions[want.Cluster] = want.Version
}

// Status implements eks.ControlPlanes.
func (p *onePlane) Status(cluster string) eks.PlaneStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	version, ok := p.versions[cluster]
	return eks.PlaneStatus{Ready: ok, Gone: !ok, Version: version, Endpoint: p.endpoint + "/" + cluster, CAData: p.ca}
}

// Delete implements eks.ControlPlanes.
func (p *onePlane) Delete(cluster string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.versions, cluster)
}

// anyNode says of every instance that it is a node, and that there is one.
type anyNode struct{}

func (anyNode) Ready(string, string) bool                { return true }
func (anyNode) Drain(string, string, bool) (bool, error) { return true, nil }
func (anyNode) Count(string) (int, bool)                 { return 1, true }
func (anyNode) Mark(string, string, eks.Marks)           {}
