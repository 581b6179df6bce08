package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/eks-gitops/reconciler/lab/process"
	"github.com/eks-gitops/reconciler/lab/story"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// The benchmarks of EKS are about a cluster with six nodegroups and eight addons. Their bars, and what bounds them, are in
// docs/performance.md.

// large is that cluster, under a name.
func large(name string) string {
	return "apiVersion: eksctl.io/v1alpha5\nkind: ClusterConfig\nmetadata: {name: " + name + `, region: eu-west-1, version: "1.34"}
iam: {withOIDC: true}
addonsConfig: {disableDefaultAddons: true}
addons:
- name: vpc-cni
- name: kube-proxy
- name: coredns
- name: eks-pod-identity-agent
- name: aws-ebs-csi-driver
- name: eks-node-monitoring-agent
- name: metrics-server
- name: snapshot-controller
managedNodeGroups:
- {name: system, instanceType: m5.large, minSize: 2, maxSize: 4, desiredCapacity: 2, labels: {role: system}}
- {name: web, instanceType: m5.large, minSize: 1, maxSize: 4, desiredCapacity: 1, labels: {role: web}}
- {name: batch, instanceType: m5.large, minSize: 1, maxSize: 4, desiredCapacity: 1, labels: {role: batch}}
- {name: data, instanceType: m5.large, minSize: 1, maxSize: 4, desiredCapacity: 1, labels: {role: data}}
nodeGroups:
- {name: edge, instanceType: m5.large, minSize: 1, maxSize: 3, desiredCapacity: 1, labels: {role: edge}}
- {name: jobs, instanceType: m5.large, minSize: 1, maxSize: 3, desiredCapacity: 1, labels: {role: jobs}}
`
}

// beginLarge prepares a story whose cluster dev is the large one, without overlays: they are measured elsewhere.
func beginLarge(b *testing.B, speed int) *story.Story {
	b.Helper()
	s := begin(b, speed)
	for _, part := range []string{"addons", "apps"} {
		if err := s.Fleet.Remove("clusters/dev/" + part); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Fleet.Write("clusters/dev/cluster.yaml", large("dev")); err != nil {
		b.Fatal(err)
	}
	return s
}

// BenchmarkEKSMakespan makes the large cluster, by reconciler apply and, beside it on the same lab, by eksctl create cluster. AWS takes
// its time as in life (speed 1), or eksctl, which looks every half minute, would be held back by the lab. Bars: 1.05 of the
// critical path, 0.7 of eksctl.
func BenchmarkEKSMakespan(b *testing.B) {
	s := beginLarge(b, 1)
	push(b, s, "Make a large cluster")
	file := filepath.Join(s.R.State, "peer.yaml")
	if err := os.WriteFile(file, []byte(large("peer")), 0o600); err != nil {
		b.Fatal(err)
	}
	var ours, theirs, path time.Duration
	n := 0
	for b.Loop() {
		if n++; n > 1 {
			b.Fatal("one iteration takes some twenty minutes, and leaves its clusters: use -benchtime 1x")
		}
		peer := make(chan error, 1)
		go func() {
			began := time.Now()
			_, err := s.Lab.Must(b.Context(), "eksctl", "create", "cluster", "-f", file, "--kubeconfig", filepath.Join(s.R.State, "eksctl.kubeconfig"), "--timeout", "60m")
			theirs = time.Since(began)
			peer <- err
		}()
		began := time.Now()
		out, err := s.R.CLI(b.Context(), "apply", "clusters/dev", "--progress", "plain")
		if err != nil || out.Code != 0 {
			b.Fatalf("apply exits %d: %v\n%s%s", out.Code, err, out.Stdout, out.Stderr)
		}
		ours = time.Since(began)
		b.Logf("%s", out.Stderr)
		path = criticalPath(b, s)
		b.Logf("ours %s, critical path %s", ours, path)
		if err := <-peer; err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(ours.Seconds(), "s/makespan")
	b.ReportMetric(path.Seconds(), "s/critical-path")
	b.ReportMetric(theirs.Seconds(), "s/eksctl")
	b.ReportMetric(ours.Seconds()/path.Seconds(), "x-critical-path")
	b.ReportMetric(ours.Seconds()/theirs.Seconds(), "x-eksctl")
}

// criticalPath is the longest way through the graph of the first plan of dev, each change taking what AWS took for it.
func criticalPath(b *testing.B, s *story.Story) time.Duration {
	b.Helper()
	records, err := s.R.History(b.Context(), "dev")
	if err != nil {
		b.Fatal(err)
	}
	changes := map[gitops.Ref]plan.Change{}
	first := records[len(records)-1]
	for _, c := range first.Plan.Changes {
		changes[c.Ref] = c
	}
	ends := map[gitops.Ref]time.Duration{}
	var end func(r gitops.Ref) time.Duration
	end = func(r gitops.Ref) time.Duration {
		if at, ok := ends[r]; ok {
			return at
		}
		var begins time.Duration
		for _, need := range changes[r].Needs {
			begins = max(begins, end(need))
		}
		ends[r] = begins + awsTime(b, s, r)
		return ends[r]
	}
	var last time.Duration
	for _, c := range first.Plan.Changes {
		last = max(last, end(c.Ref))
		result, _ := first.Result(c.ID)
		b.Logf("%-50s AWS %5.0f s, could end at %5.0f s, began at %5.0f, ended at %5.0f", c.Ref.Label(), awsTime(b, s, c.Ref).Seconds(), ends[c.Ref].Seconds(),
			result.Began.Sub(first.Began).Seconds(), result.Ended.Sub(first.Began).Seconds())
	}
	return last
}

// awsTime is what AWS needs for a thing that is asked for at the right moment: what its stack took, by the stack's own events, and what
// the simulator takes beyond that.
func awsTime(b *testing.B, s *story.Story, r gitops.Ref) time.Duration {
	b.Helper()
	takes := durations(b, s)
	switch r.Kind {
	case "Cluster":
		whole, _ := stackTime(b, s, "eksctl-dev-cluster")
		return whole
	case "Nodegroup":
		// CloudFormation waits for the nodes of a managed nodegroup, and not for those of an Auto Scaling group.
		whole, scaling := stackTime(b, s, "eksctl-dev-nodegroup-"+r.Name)
		if scaling == 0 {
			return whole
		}
		return max(whole, scaling+takes["ec2.instance.launch"]+takes["ec2.instance.boot"])
	case "Addon":
		role, _ := stackTime(b, s, "eksctl-dev-addon-"+r.Name)
		return role + takes["eks.addon.create"]
	case "IdentityProvider":
		return 0 // made at once
	}
	b.Fatalf("nothing is known about how long AWS takes for %s", r)
	return 0
}

// stackTime is how long a stack took to be made, and when in that time its Auto Scaling group was; both are 0 when there is none.
func stackTime(b *testing.B, s *story.Story, name string) (whole, scaling time.Duration) {
	b.Helper()
	var list struct {
		StackEvents []struct {
			StackName, LogicalResourceID, ResourceType, ResourceStatus string
			Timestamp                                                  time.Time
		}
	}
	out, err := s.Lab.Run(b.Context(), "aws", "cloudformation", "describe-stack-events", "--stack-name", name, "--output", "json")
	if err != nil {
		b.Fatal(err)
	}
	if out.Code != 0 {
		if strings.Contains(out.Stderr, "does not exist") {
			return 0, 0
		}
		b.Fatal(out.Stderr)
	}
	if err := json.Unmarshal([]byte(out.Stdout), &list); err != nil {
		b.Fatal(err)
	}
	var began, ended, scaled time.Time
	for _, e := range list.StackEvents {
		switch {
		case e.ResourceType == "AWS::CloudFormation::Stack" && e.ResourceStatus == "CREATE_IN_PROGRESS":
			began = e.Timestamp
		case e.ResourceType == "AWS::CloudFormation::Stack" && e.ResourceStatus == "CREATE_COMPLETE":
			ended = e.Timestamp
		case e.ResourceType == "AWS::AutoScaling::AutoScalingGroup" && e.ResourceStatus == "CREATE_IN_PROGRESS":
			scaled = e.Timestamp
		}
	}
	if began.IsZero() || ended.IsZero() {
		b.Fatalf("the events of stack %s do not say when it was made", name)
	}
	if !scaled.IsZero() {
		scaling = scaled.Sub(began)
	}
	return ended.Sub(began), scaling
}

// durations are what things take in this lab, by the simulator's own names.
func durations(b *testing.B, s *story.Story) map[string]time.Duration {
	b.Helper()
	var overview struct {
		Durations map[string]time.Duration `json:"durations"`
	}
	simulator(b, s, http.MethodGet, "/_sim/", "", &overview)
	return overview.Durations
}

// simulator asks the simulated AWS's administration.
func simulator(tb testing.TB, s *story.Story, method, path, body string, into any) {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), method, s.Lab.Var("AWS_ENDPOINT_URL")+path, strings.NewReader(body))
	if err != nil {
		tb.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }() // only read
	if response.StatusCode != http.StatusOK {
		tb.Fatalf("%s %s: %s", method, path, response.Status)
	}
	if err := json.NewDecoder(response.Body).Decode(into); err != nil {
		tb.Fatal(err)
	}
}

// latency makes every call to AWS take that much longer.
func latency(tb testing.TB, s *story.Story, d time.Duration) {
	tb.Helper()
	var added struct{ ID string }
	simulator(tb, s, http.MethodPost, "/_sim/faults", fmt.Sprintf(`{"effect":"latency","delay":%q}`, d), &added)
}

// latencyOfAWS is what a call to AWS takes in these benchmarks.
const latencyOfAWS = 20 * time.Millisecond

// BenchmarkEKSSweep looks at the large cluster while nothing changes. An iteration is one sweep. Bars: 40 calls, 1 s at 20 ms per call, 0.3
// of the calls that eksctl makes for telling the same.
func BenchmarkEKSSweep(b *testing.B) {
	s := beginLarge(b, 300)
	if err := s.Fleet.Write("clusters/dev/reconcile.yaml", "interval: 5s\n"); err != nil {
		b.Fatal(err)
	}
	push(b, s, "Make a large cluster")
	if err := s.R.Start("clusters/dev"); err != nil {
		b.Fatal(err)
	}
	settle(b, s, run.Converged)
	latency(b, s, latencyOfAWS)
	sweepsAfter(b, s, 2)
	var calls, seconds, slowest float64
	n := 0
	seen := lastRequest(b, s)
	for b.Loop() {
		sweep := nextSweep(b, s, seen)
		seen = sweep[len(sweep)-1].Seq
		took := spanOf(sweep).Seconds()
		calls, seconds, slowest = calls+float64(len(sweep)), seconds+took, max(slowest, took)
		n++
	}
	if err := s.R.Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
	theirs := 0.0
	for _, kind := range []string{"cluster", "nodegroup", "addon", "iamserviceaccount", "podidentityassociation", "accessentry", "fargateprofile", "identityprovider", "iamidentitymapping"} {
		before := lastRequest(b, s)
		args := []string{"get", kind, "--cluster", "dev", "--region", "eu-west-1"}
		if kind == "cluster" {
			args[2] = "--name"
		}
		if _, err := s.Lab.Must(b.Context(), "eksctl", args...); err != nil {
			b.Fatal(err)
		}
		made := len(awsRequests(b, s, before))
		b.Logf("eksctl get %s: %d calls", kind, made)
		theirs += float64(made)
	}
	calls /= float64(n)
	b.ReportMetric(calls, "calls/sweep")
	b.ReportMetric(seconds/float64(n), "s/sweep")
	b.ReportMetric(slowest, "s/slowest-sweep")
	b.ReportMetric(theirs, "calls/eksctl-get")
	b.ReportMetric(calls/theirs, "x-eksctl-get")
	b.ReportMetric(0, "ns/op") // most of an iteration is the pause between two sweeps
}

// nextSweep waits for a whole sweep after a request: the requests that follow each other closely, up to a pause.
func nextSweep(tb testing.TB, s *story.Story, since int) []awsRequest {
	tb.Helper()
	const pause = time.Second
	var sweep []awsRequest
	err := process.Poll(tb.Context(), 100*time.Millisecond, "a sweep", func(context.Context) (bool, error) {
		sweep = awsRequests(tb, s, since)
		if len(sweep) == 0 {
			return false, nil
		}
		last := sweep[len(sweep)-1]
		return time.Since(last.Time.Add(last.Took)) > pause, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return sweep
}

// spanOf is from the beginning of the first to the end of the last request.
func spanOf(log []awsRequest) time.Duration {
	began, ended := log[0].Time, log[0].Time
	for _, r := range log {
		if r.Time.Before(began) {
			began = r.Time
		}
		if end := r.Time.Add(r.Took); end.After(ended) {
			ended = end
		}
	}
	return ended.Sub(began)
}

// BenchmarkEKSScale scales a nodegroup of the large cluster by commits. An iteration is one commit. Bar: 2 s from the commit to EKS having
// accepted UpdateNodegroupConfig.
func BenchmarkEKSScale(b *testing.B) {
	s := beginLarge(b, 300)
	s.R.Progress = "json"
	push(b, s, "Make a large cluster")
	if err := s.R.Start("clusters/dev"); err != nil {
		b.Fatal(err)
	}
	settle(b, s, run.Converged)
	latency(b, s, latencyOfAWS)
	var total, slowest, nudged time.Duration
	n := 0
	sizes := []string{"desiredCapacity: 1, labels: {role: web}", "desiredCapacity: 2, labels: {role: web}"}
	for b.Loop() {
		edit(b, s, "clusters/dev/cluster.yaml", sizes[n%2], sizes[(n+1)%2])
		seen := lastRequest(b, s)
		began := time.Now()
		push(b, s, "Scale web")
		accepted := update(b, s, seen)
		took := accepted.Sub(began)
		total, slowest = total+took, max(slowest, took)
		commit, err := s.Fleet.Head(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		nudged += accepted.Sub(fetchedAt(b, s, commit))
		n++
		settle(b, s, run.Converged)
	}
	b.ReportMetric(total.Seconds()/float64(n), "s/commit-to-accepted")
	b.ReportMetric(slowest.Seconds(), "s/slowest")
	b.ReportMetric(nudged.Seconds()/float64(n), "s/nudge-to-accepted")
	b.ReportMetric(0, "ns/op") // an iteration ends when the nodes are there
}

// update waits for EKS to accept a change of a nodegroup, and tells when it did.
func update(tb testing.TB, s *story.Story, since int) time.Time {
	tb.Helper()
	var at time.Time
	err := process.Poll(tb.Context(), 20*time.Millisecond, "UpdateNodegroupConfig", func(context.Context) (bool, error) {
		for _, r := range awsRequests(tb, s, since) {
			if r.Operation == "UpdateNodegroupConfig" && r.Status == http.StatusOK {
				at = r.Time.Add(r.Took)
			}
		}
		return !at.IsZero(), nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return at
}
