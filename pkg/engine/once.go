package engine

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// RunOnce is the product on one screen: observe the infrastructure, render the overlays with its facts, observe the
// cluster, plan both, carry the plan out, record. Trouble is in the Record; the error is for what kept the record from
// being made or stored.
func (e *Engine) RunOnce(ctx context.Context, j Job) (run.Record, error) {
	record := run.Record{Cluster: j.Cluster.Name, Cause: j.Cause, Began: e.Now()}
	inventory, err := e.Ledger.Inventory(ctx, j.Cluster.Name)
	if err != nil {
		return record, gitops.AsError(gitops.LedgerUnavailable, err)
	}
	rules, policies := e.rules(&j)
	desired, observed := e.look(ctx, j, rules, inventory)
	if ctx.Err() != nil {
		return record, interrupted(ctx, record.Cluster)
	}
	record.Plan = plan.Build(plan.Input{
		Desired: desired, Observed: observed, Inventory: inventory, Redactor: j.Target.Redactor, DependsOn: rules.DependsOn,
	}, policies...)
	if j.Preview {
		record.Outcome, record.Ended = run.Preview, e.Now()
		return record, nil
	}
	told := j.Last == nil || (j.Last.Plan.ID != record.Plan.ID && !record.Plan.Empty())
	if told {
		e.Sink.Emit(run.Planned{Head: e.head(record.Cluster), Plan: record.Plan})
	}
	books := books{now: inventory}
	books.ahead(record.Plan)
	if err := e.remember(ctx, j, &books); err != nil {
		return record, err
	}
	record.Results = e.carry(ctx, j, record.Plan, desired.Overlays)
	record.Outcome, record.Ended = outcome(record), e.Now()
	if j.lost() {
		return record, gitops.Errorf(gitops.Interrupted, "the lease of %s was lost; its next holder goes on from what is live", record.Cluster)
	}
	// The books are kept even when the run was interrupted: what was done must not be forgotten.
	ctx, done := j.firm(ctx)
	defer done()
	books.settle(observed, record)
	if err := e.remember(ctx, j, &books); err != nil {
		return record, err
	}
	if j.Due != nil {
		record.Next = j.Due(record)
	}
	kept := noteworthy(record, j.Last)
	if kept {
		if record, err = e.Ledger.Append(ctx, record); err != nil {
			return record, gitops.AsError(gitops.LedgerUnavailable, err)
		}
	}
	if kept || told {
		// Whoever heard of a plan hears what became of it; a pass like the one before is silent.
		e.Sink.Emit(run.Finished{Head: e.head(record.Cluster), Record: record})
	}
	return record, nil
}

// interrupted is what becomes of a pass that ended while it looked: half a look is no ground for a plan, nor worth a record.
func interrupted(ctx context.Context, cluster string) *gitops.Error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return gitops.Errorf(gitops.Deadline, "the time given was over before all of %s was looked at; nothing was changed", cluster)
	}
	return gitops.Errorf(gitops.Interrupted, "the run was stopped while it looked at %s; nothing was changed", cluster)
}

// rules reads the cluster's policy. One that cannot be read becomes a problem of the cluster, on which
// plan.Build holds everything: a policy is never guessed.
func (e *Engine) rules(j *Job) (plan.Rules, []plan.Policy) {
	rules, problems := plan.DecodeRules(j.Cluster.Policy, e.Checks)
	j.timeouts = rules.Timeouts
	j.Backoff.Bound(rules.Retry)
	policies := rules.Policies(e.Now, j.Cluster.Approvals)
	if j.Cluster.Ending {
		policies = []plan.Policy{plan.End(j.Cluster.Approvals, j.Confirmed)}
	}
	policies = append(policies, j.Policies...)
	j.Cluster.Problems = slices.Concat(j.Cluster.Problems, problems)
	return rules, policies
}

// look renders and observes both domains. What cannot be known becomes problems and observation errors, never absence.
func (e *Engine) look(ctx context.Context, j Job, rules plan.Rules, inv gitops.Inventory) (gitops.Desired, gitops.Observed) {
	observed := gitops.Observed{}
	infra := gitops.Desired{Revision: j.Snapshot.Revision, Cluster: j.Cluster.Name, Problems: j.Cluster.Problems}
	var facts gitops.Facts
	if j.Cluster.Config.Spec != nil {
		infra.Items = []gitops.Item{j.Cluster.Config}
		infra = rules.Trim(infra)
		e.observe(ctx, observed, gitops.EKS, j.Target.Infra, infra, inv)
		var err error
		if facts, err = j.Target.Facts.Facts(ctx); err != nil {
			infra.Problems = append(infra.Problems, gitops.AsError(gitops.ObserveFailed, err))
		}
	} else {
		observed[gitops.Ref{Domain: gitops.EKS}] = gitops.Observation{Err: gitops.Errorf(gitops.ConfigInvalid, "the ClusterConfig of %s cannot be read", j.Cluster.Folder)}
	}
	desired, err := e.Renderer.Render(ctx, j.Snapshot, j.Cluster, facts)
	if err != nil {
		desired = gitops.Desired{}
		observed[gitops.Ref{Domain: gitops.K8s}] = gitops.Observation{Err: gitops.AsError(gitops.RenderFailed, err)}
	} else {
		e.observe(ctx, observed, gitops.K8s, j.Target.Objects, desired, inv)
	}
	desired.Revision, desired.Cluster = infra.Revision, infra.Cluster
	desired.Items = append(infra.Items, desired.Items...)
	desired.Problems = append(infra.Problems, desired.Problems...)
	return desired, observed
}

// observe adds one domain's observations. A domain that cannot be observed as a whole is one entry under a Ref that has
// nothing but the domain.
func (e *Engine) observe(ctx context.Context, into gitops.Observed, d gitops.Domain, o Observer, want gitops.Desired, inv gitops.Inventory) {
	seen, err := o.Observe(ctx, want, inv)
	if err != nil {
		into[gitops.Ref{Domain: d}] = gitops.Observation{Err: gitops.AsError(gitops.ObserveFailed, err)}
		return
	}
	maps.Copy(into, seen)
}

// remember stores the books when they changed.
func (e *Engine) remember(ctx context.Context, j Job, b *books) error {
	if !b.changed {
		return nil
	}
	if err := e.Ledger.Save(ctx, j.Cluster.Name, b.now); err != nil {
		return gitops.AsError(gitops.LedgerUnavailable, err)
	}
	b.changed = false
	return nil
}
