package story

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/eks-gitops/reconciler/lab/process"
	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// Steps is the story from an empty account to an empty account; the last one is the teardown.
func Steps() []Step {
	return []Step{
		{"A push creates a cluster", create},
		{"A commit scales a nodegroup and bumps an image", scaleAndBump},
		{"Somebody meddles behind git's back", meddle},
		{"An overlay leaves git", prune},
		{"A commit that would replace a nodegroup is held", hold},
		{"The replacement is approved by a commit", approve},
		{"git revert", revert},
		{"History tells it all", history},
		{"A second cluster from the same bases", second},
		{"Two ways to end a cluster, and nothing is left", end},
	}
}

func create(ctx context.Context, s *Story) error {
	if err := s.push(ctx, "create", "Run the sample fleet"); err != nil {
		return err
	}
	if err := s.R.Start("clusters/dev"); err != nil {
		return err
	}
	s.Say("reconciler run follows %s (pid %d)", s.Fleet.URL(), s.R.PID())
	if _, err := s.settled(ctx, run.Converged); err != nil {
		return err
	}
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		return err
	}
	if err := nodes(ctx, s, dev, map[string]int{"system": 2, "batch": 1}); err != nil {
		return err
	}
	for _, want := range [][2]string{{"guestbook", "frontend"}, {"guestbook", "redis-follower"}, {"kube-system", "metrics-server"}, {"external-dns", "external-dns"}} {
		d, err := dev.Kube.AppsV1().Deployments(want[0]).Get(ctx, want[1], metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.AvailableReplicas != d.Status.Replicas || d.Status.Replicas == 0 {
			return fmt.Errorf("deployment %s/%s has %d of %d replicas available", want[0], want[1], d.Status.AvailableReplicas, d.Status.Replicas)
		}
		s.Say("%s/%s is available, %d replicas", want[0], want[1], d.Status.AvailableReplicas)
	}
	out, err := s.show(ctx, "diff", "clusters/dev")
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("diff after apply exits %d, want 0", out.Code)
	}
	return err
}

// nodes waits until the nodegroups have so many Ready nodes: a pass may end when AWS accepted a change.
func nodes(ctx context.Context, s *Story, c *Cluster, want map[string]int) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for group, count := range want {
		var got []corev1.Node
		err := process.Poll(ctx, 300*time.Millisecond, fmt.Sprintf("nodegroup %s to have %d ready nodes", group, count), func(ctx context.Context) (bool, error) {
			var err error
			got, err = c.Nodes(ctx, group)
			return len(got) == count, err
		})
		if err != nil {
			return fmt.Errorf("%w: it has %d", err, len(got))
		}
		for _, n := range got {
			s.Say("node %s (%s) is Ready: %s", n.Name, group, n.Labels["node.kubernetes.io/instance-type"])
		}
	}
	return nil
}

const redisTag = "8.10.1-alpine"

func scaleAndBump(ctx context.Context, s *Story) error {
	if err := s.Fleet.Edit("clusters/dev/cluster.yaml", "desiredCapacity: 2", "desiredCapacity: 3"); err != nil {
		return err
	}
	if err := s.Fleet.Edit("apps/guestbook/kustomization.yaml", redisTag, "8.10.2-alpine"); err != nil {
		return err
	}
	if _, err := s.show(ctx, "version"); err != nil {
		return err
	}
	if err := s.push(ctx, "bump", "Scale system to 3, bump redis"); err != nil {
		return err
	}
	if _, err := s.settled(ctx, run.Converged); err != nil {
		return err
	}
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		return err
	}
	if err := nodes(ctx, s, dev, map[string]int{"system": 3, "batch": 1}); err != nil {
		return err
	}
	d, err := dev.Kube.AppsV1().Deployments("guestbook").Get(ctx, "redis-leader", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if image := d.Spec.Template.Spec.Containers[0].Image; !strings.HasSuffix(image, ":8.10.2-alpine") {
		return fmt.Errorf("redis-leader runs %s", image)
	}
	return nil
}

func meddle(ctx context.Context, s *Story) error {
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		return err
	}
	before, err := s.R.History(ctx, "dev")
	if err != nil {
		return err
	}
	s.Say("kubectl delete deployment frontend; eksctl scale nodegroup system to 2")
	if err := dev.Kube.AppsV1().Deployments("guestbook").Delete(ctx, "frontend", metav1.DeleteOptions{}); err != nil {
		return err
	}
	if _, err := s.Lab.Must(ctx, "eksctl", "scale", "nodegroup", "--cluster", "dev", "--name", "system", "--nodes", "2"); err != nil {
		return err
	}
	corrected := func(ref string) func(run.Record, plan.Change) bool {
		return func(r run.Record, c plan.Change) bool {
			return r.ID > before[0].ID && c.Drift && c.Ref.String() == ref
		}
	}
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	for _, ref := range []string{"k8s/apps/Deployment/guestbook/frontend", "eks/Nodegroup/dev/system"} {
		err := process.Poll(ctx, 300*time.Millisecond, ref+" to be corrected", func(ctx context.Context) (bool, error) {
			records, err := s.R.History(ctx, "dev")
			if err != nil {
				return false, err
			}
			r, c, ok := Changed(records, corrected(ref))
			if ok {
				s.Say("run %d (%s) corrected %s: %s", r.ID, r.Cause, c.Ref.Label(), c.Why)
			}
			return ok, nil
		})
		if err != nil {
			return err
		}
	}
	return nodes(ctx, s, dev, map[string]int{"system": 3})
}

func prune(ctx context.Context, s *Story) error {
	if err := s.Fleet.Remove("clusters/dev/addons/metrics-server"); err != nil {
		return err
	}
	if err := s.push(ctx, "prune", "Drop metrics-server"); err != nil {
		return err
	}
	r, err := s.settled(ctx, run.Converged)
	if err != nil {
		return err
	}
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		return err
	}
	list, err := dev.Kube.AppsV1().Deployments("kube-system").List(ctx, metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=metrics-server"})
	if err != nil {
		return err
	}
	if len(list.Items) != 0 {
		return fmt.Errorf("metrics-server is still there after run %d", r.ID)
	}
	s.Say("pruned; nothing of metrics-server is left")
	return nil
}

func hold(ctx context.Context, s *Story) error {
	if err := s.Fleet.Edit("clusters/dev/cluster.yaml", "  - name: system\n    instanceType: m5.large", "  - name: system\n    instanceType: m6i.large"); err != nil {
		return err
	}
	if err := s.push(ctx, "replace", "Move system to m6i.large"); err != nil {
		return err
	}
	r, err := s.settled(ctx, run.Waiting)
	if err != nil {
		return err
	}
	if _, err := s.show(ctx, "diff", "clusters/dev"); err != nil {
		return err
	}
	for _, c := range r.Plan.Changes {
		if c.Hold == nil || c.Hold.Reason != gitops.Held || c.Action != plan.Replace || c.Ref.Name != "system" {
			return fmt.Errorf("the plan has %s %s, want only the held replacement of nodegroup system", c.Action, c.Ref)
		}
	}
	s.commits["held plan"] = string(r.Plan.ID)
	return nil
}

func approve(ctx context.Context, s *Story) error {
	out, err := s.Run(ctx, "approve", s.commits["held plan"], "clusters/dev")
	if err != nil {
		return err
	}
	s.Show(out)
	if err := s.push(ctx, "approve", "Approve the move to m6i.large"); err != nil {
		return err
	}
	if _, err := s.settled(ctx, run.Converged); err != nil {
		return err
	}
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		return err
	}
	// Kubernetes takes a node away a while after its instance.
	if err := nodes(ctx, s, dev, map[string]int{"system": 3, "batch": 1}); err != nil {
		return err
	}
	got, err := dev.Nodes(ctx, "system")
	if err != nil {
		return err
	}
	for _, n := range got {
		if kind := n.Labels["node.kubernetes.io/instance-type"]; kind != "m6i.large" {
			return fmt.Errorf("node %s is still %s", n.Name, kind)
		}
	}
	groups, err := dev.Nodegroups(ctx)
	if err != nil {
		return err
	}
	if len(groups) != 1 {
		return fmt.Errorf("EKS has nodegroups %v, want the new one only", groups)
	}
	return nil
}

// Run runs a command of the reconciler on the work tree, as the person who edits it does.
func (s *Story) Run(ctx context.Context, args ...string) (string, error) {
	return s.R.Must(ctx, "reconciler", append(args, "-C", s.Fleet.Work, "--ledger", "file:"+s.R.State+"/ledger")...)
}

func revert(ctx context.Context, s *Story) error {
	commit, err := s.Fleet.Revert(ctx, s.commits["prune"])
	if err != nil {
		return err
	}
	s.Say("git revert %.7s is %.7s", s.commits["prune"], commit)
	if _, err := s.settled(ctx, run.Converged); err != nil {
		return err
	}
	dev, err := s.Lab.Cluster("dev")
	if err != nil {
		return err
	}
	if _, err := dev.Kube.AppsV1().Deployments("kube-system").Get(ctx, "metrics-server", metav1.GetOptions{}); err != nil {
		return fmt.Errorf("metrics-server is not back: %w", err)
	}
	s.Say("metrics-server is back")
	return nil
}

func history(ctx context.Context, s *Story) error {
	out, err := s.show(ctx, "history", "--cluster", "dev", "-n", "0")
	if err != nil {
		return err
	}
	for _, want := range []string{"Run the sample fleet", "Scale system to 3", "restored ", "Drop metrics-server", "Move system to m6i.large", "Approve the move", "Revert"} {
		if !strings.Contains(out.Stdout, want) {
			return fmt.Errorf("history does not mention %q", want)
		}
	}
	_, err = s.show(ctx, "history", "why", "eks/Nodegroup/dev/system", "--cluster", "dev")
	return err
}

// second brings up the production cluster by hand, since the daemon was told to follow dev only.
func second(ctx context.Context, s *Story) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	s.Say("reconciler apply clusters/prod")
	out, err := s.R.CLI(ctx, "apply", "clusters/prod", "--progress", "quiet")
	if err != nil {
		return err
	}
	if out.Code != 0 {
		return fmt.Errorf("apply of clusters/prod exits %d: %s%s", out.Code, out.Stdout, out.Stderr)
	}
	prod, err := s.Lab.Cluster("prod")
	if err != nil {
		return err
	}
	if err := nodes(ctx, s, prod, map[string]int{"system": 3, "batch": 1}); err != nil {
		return err
	}
	out, err = s.show(ctx, "diff", "clusters/prod")
	if err == nil && out.Code != 0 {
		err = fmt.Errorf("diff after apply exits %d, want 0", out.Code)
	}
	return err
}

func end(ctx context.Context, s *Story) error {
	if err := leave(ctx, s); err != nil {
		return err
	}
	if err := s.R.Stop(ctx); err != nil {
		return err
	}
	s.Say("the daemon stopped in good order")
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	out, err := s.R.CLI(ctx, "teardown", "clusters/prod", "--yes")
	if err != nil {
		return err
	}
	s.Show(out.Stdout)
	if out.Code != 0 {
		return fmt.Errorf("teardown exits %d: %s", out.Code, out.Stderr)
	}
	left, err := s.Lab.Left(ctx)
	if err != nil {
		return err
	}
	if len(left) > 0 {
		return fmt.Errorf("still there: %s", strings.Join(left, ", "))
	}
	s.Say("no cluster, no stack, no instance, no load balancer is left")
	return nil
}

// leave ends a cluster by commits: one removes its folder, which deletes nothing, and one approves its end.
func leave(ctx context.Context, s *Story) error {
	if err := s.Fleet.Remove("clusters/dev"); err != nil {
		return err
	}
	if err := s.push(ctx, "leave", "Retire dev"); err != nil {
		return err
	}
	last, err := s.settled(ctx, run.Waiting)
	if err != nil {
		return err
	}
	for _, c := range last.Plan.Changes {
		if c.Hold == nil {
			return fmt.Errorf("%s is not held", c.Ref)
		}
	}
	s.Say("the end of dev is planned and held: %d changes", len(last.Plan.Changes))
	out, err := s.Run(ctx, "approve", last.Plan.ID.Short())
	if err != nil {
		return err
	}
	s.Show(out)
	if err := s.push(ctx, "end", "Delete cluster dev"); err != nil {
		return err
	}
	_, err = s.settled(ctx, run.Converged)
	return err
}
