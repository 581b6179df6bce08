package stack_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/eks-gitops/reconciler/lab/labtest"
	"github.com/eks-gitops/reconciler/lab/process"
	"github.com/eks-gitops/reconciler/lab/stack"
	"github.com/eks-gitops/reconciler/lab/story"
)

// startLoop brings up a lab and a daemon that follows the fleet of the loop.
func startLoop(t *testing.T) *loop {
	t.Helper()
	// A short path: the control plane's sockets below it have to fit into 108 bytes.
	dir, err := os.MkdirTemp("", "loop") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	bin := filepath.Dir(labtest.Tool(t, "reconciler"))
	p := story.Programs{Bin: bin, Env: append(os.Environ(), "XDG_CONFIG_HOME="+dir), Dir: dir}
	s, err := story.New(t.Context(), p, dir, stack.Root(t), 120)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of the daemon's log:\n%s", process.Tail(s.R.Log(), 60))
		}
		if err := s.End(context.Background()); err != nil {
			t.Error(err)
		}
	})
	for _, path := range []string{"clusters/prod", "clusters/dev/addons", "clusters/dev/apps"} {
		if err := s.Fleet.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range loopFiles {
		write(t, filepath.Join(s.Fleet.Work, name), text)
	}
	if _, err := s.Fleet.Push(t.Context(), "Run the loop"); err != nil {
		t.Fatal(err)
	}
	if err := s.R.Start("clusters/dev"); err != nil {
		t.Fatal(err)
	}
	l := &loop{Story: s}
	await(t, "the cluster to answer", func(context.Context) (bool, error) {
		l.admin, err = clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
			&clientcmd.ClientConfigLoadingRules{Precedence: []string{s.Lab.Var("KUBECONFIG")}}, &clientcmd.ConfigOverrides{CurrentContext: "dev-admin"},
		).ClientConfig()
		if err != nil {
			return false, nil //nolint:nilerr // the context is not there yet
		}
		l.admin.QPS, l.admin.WarningHandler = -1, rest.NoWarnings{}
		if l.kube, err = kubernetes.NewForConfig(l.admin); err != nil {
			return false, err
		}
		_, err = l.kube.Discovery().ServerVersion()
		return err == nil, nil
	})
	return l
}

// await waits for as long as a story may take.
func await(t *testing.T, what string, check func(context.Context) (bool, error)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), story.Patience)
	defer cancel()
	if err := process.Poll(ctx, 250*time.Millisecond, what, check); err != nil {
		t.Fatal(err)
	}
}

// as is a client's configuration with the rights of a service account.
func (l *loop) as(t *testing.T, namespace, name string) *rest.Config {
	t.Helper()
	config := rest.AnonymousClientConfig(l.admin)
	config.QPS, config.WarningHandler = -1, rest.NoWarnings{}
	seconds := int64(3600)
	await(t, "the service account "+namespace+"/"+name, func(ctx context.Context) (bool, error) {
		token, err := l.kube.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name,
			&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}, metav1.CreateOptions{})
		if err != nil {
			return false, nil //nolint:nilerr // it is not there yet
		}
		config.BearerToken = token.Status.Token
		return true, nil
	})
	return config
}

// actors start what stands for draino and cluster-autoscaler, once their Deployments are there.
func (l *loop) actors(t *testing.T) {
	t.Helper()
	templates := map[string]*corev1.PodTemplateSpec{}
	for _, full := range []string{"draino/draino", "kube-system/cluster-autoscaler"} {
		namespace, name, _ := strings.Cut(full, "/")
		await(t, "the Deployment "+full, func(ctx context.Context) (bool, error) {
			d, err := l.kube.AppsV1().Deployments(namespace).Get(ctx, name, metav1.GetOptions{})
			if err != nil {
				return false, nil //nolint:nilerr // it is not there yet
			}
			templates[name] = &d.Spec.Template
			return true, nil
		})
	}
	client := func(namespace, name string) actor {
		kube, err := kubernetes.NewForConfig(l.as(t, namespace, name))
		if err != nil {
			t.Fatal(err)
		}
		return actor{Interface: kube}
	}
	l.drain = newDrainer(t, client("draino", "draino"), templates["draino"].Spec.Containers[0].Args, loopSpeed)
	l.scale = newScaler(t, client("kube-system", "cluster-autoscaler"), l.Lab, templates["cluster-autoscaler"], loopSpeed)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var group sync.WaitGroup
	group.Go(func() { l.drain.run(ctx) })
	group.Go(func() { l.scale.run(ctx) })
	t.Cleanup(func() {
		cancel()
		group.Wait()
		if t.Failed() {
			t.Logf("the scaler:\n%s\nthe drainer: turns %q, failed %q", strings.Join(l.scale.said, "\n"), l.drain.turns(), l.drain.failed)
		}
	})
}

// awaitsAutoscaler waits until the autoscaler's pods are available, and checks that it is not Ready for that: nobody has written its status.
func (l *loop) awaitsAutoscaler(t *testing.T) {
	t.Helper()
	await(t, "the autoscaler's pods to be available", func(ctx context.Context) (bool, error) {
		d, err := l.kube.AppsV1().Deployments("kube-system").Get(ctx, "cluster-autoscaler", metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas == 2, nil
	})
	out, err := l.R.CLI(t.Context(), "diff", "clusters/dev")
	if err != nil {
		t.Fatal(err)
	}
	if out.Code != 1 || !strings.Contains(out.Stdout, "cluster-autoscaler does not run") {
		t.Errorf("without a status the autoscaler is taken to work: exit %d\n%s", out.Code, out.Stdout)
	}
}

// nodes are the names of all nodes.
func (l *loop) nodes(t *testing.T) []string {
	t.Helper()
	list, err := l.kube.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(list.Items))
	for _, n := range list.Items {
		names = append(names, n.Name)
	}
	return names
}

// twoBusyNodes are two nodes with pods of the workload on them.
func (l *loop) twoBusyNodes(t *testing.T) (lost, stuck string) {
	t.Helper()
	pods, err := l.kube.CoreV1().Pods("shop").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range pods.Items {
		names = append(names, p.Spec.NodeName)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) < 3 {
		t.Fatalf("the workload is on %q, want three nodes", names)
	}
	return names[0], names[1]
}

// loseKubelet makes a node fall silent: its lease belongs to somebody who never renews it, so the kubelets of the lab leave it
// alone, and the control plane finds out by itself.
func (l *loop) loseKubelet(t *testing.T, node string) {
	t.Helper()
	stack.Await(t, "the lease of "+node+" to change hands", func(ctx context.Context) (bool, error) {
		lease, err := l.kube.CoordinationV1().Leases("kube-node-lease").Get(ctx, node, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		holder, seconds, now := "nobody", int32(24*3600), metav1.NowMicro()
		lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &holder, &seconds, &now
		_, err = l.kube.CoordinationV1().Leases("kube-node-lease").Update(ctx, lease, metav1.UpdateOptions{})
		return err == nil, nil // it may have been renewed just then
	})
}

// detect runs the real node-problem-detector on a node, with the arguments and the rights of our DaemonSet.
func (l *loop) detect(t *testing.T, node string) *host {
	t.Helper()
	h := newHost(t, l.kube)
	set, err := l.kube.AppsV1().DaemonSets("kube-system").Get(t.Context(), "node-problem-detector", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := l.as(t, "kube-system", "node-problem-detector")
	dir := t.TempDir()
	file := filepath.Join(dir, "kubeconfig")
	write(t, file, fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: lab, contexts: [{name: lab, context: {cluster: lab, user: account}}],
clusters: [{name: lab, cluster: {server: %q, certificate-authority-data: %s}}], users: [{name: account, user: {token: %q}}]}`,
		config.Host, base64.StdEncoding.EncodeToString(config.CAData), config.BearerToken))
	var args []string
	for _, arg := range set.Spec.Template.Spec.Containers[0].Args {
		name, _, _ := strings.Cut(arg, "=")
		switch name {
		case "--port", "--prometheus-port":
			arg = fmt.Sprintf("%s=%d", name, stack.FreePort(t))
		case "--prometheus-address":
			arg = name + "=127.0.0.1"
		}
		args = append(args, strings.ReplaceAll(arg, "/monitors/", h.monitors+"/"))
	}
	args = append(args, "--apiserver-override="+config.Host+"?inClusterConfig=false&auth="+file)
	proc, err := process.Start(process.Spec{
		Name: "node-problem-detector", Path: labtest.Tool(t, "node-problem-detector"), Args: args, Dir: dir, WorkDir: dir,
		Env: append(os.Environ(), "NODE_NAME="+node, "CGROUP_ROOT="+h.cgroups),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		proc.Stop(ctx)
		log := filepath.Join(dir, "node-problem-detector.log")
		if t.Failed() {
			t.Logf("the end of the detector's log:\n%s", process.Tail(log, 30))
		}
	})
	awaitCondition(t, l.kube, node, "KernelDeadlock", corev1.ConditionFalse, "")
	return h
}
