package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	"github.com/weaveworks/eksctl/pkg/actions/accessentry"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"golang.org/x/sync/errgroup"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// An access entry is made by a stack of its own, as eksctl makes it. What can change later is changed by EKS's own calls, as
// eksctl has none for it; the stack still ends the entry.

// accessEntry is a live access entry. Policies are read only of entries that git or a stack of the cluster asks for.
type accessEntry struct {
	*ekstypes.AccessEntry
	Policies []ekstypes.AssociatedAccessPolicy
}

// standardEntry is the type of entries for people and programs; every other type is for nodes.
const standardEntry = string(api.AccessEntryTypeStandard)

// entry finds an access entry of the file and the tree it is written as.
func (c *Config) entry(principal string) (*api.AccessEntry, gitops.Tree) {
	for i := range c.full.AccessConfig.AccessEntries {
		if e := &c.full.AccessConfig.AccessEntries[i]; e.PrincipalARN.String() == principal {
			return e, listItem(c.Written, i, "accessConfig", "accessEntries")
		}
	}
	return nil, nil
}

// entryStack is the stack of an access entry, which eksctl names after a hash of the principal.
func entryStack(cluster, principal string) string {
	var e api.AccessEntry
	if e.PrincipalARN.Set(principal) != nil {
		return entryStacks(cluster)
	}
	return accessentry.MakeStackName(cluster, e)
}

func entryStacks(cluster string) string { return stackPrefix(cluster) + "accessentry-" }

// makesEntry says that a stack has the name of one that makes an access entry.
func makesEntry(s cfntypes.Stack) bool {
	return strings.HasPrefix(aws.ToString(s.StackName), entryStacks(tag(s, api.ClusterNameTag)))
}

// entryOf is the principal that a stack made an entry for, which only its template tells; empty for any other stack.
func (w *world) entryOf(stack string) string {
	principal := gitops.StringAt(w.Templates[stack], "Resources", "AccessEntry", "Properties", "PrincipalArn")
	if principal == "" || stack != entryStack(tag(w.Stacks[stack], api.ClusterNameTag), principal) {
		return ""
	}
	return principal
}

// entriesOff says that the cluster can have no access entries: EKS refuses every call about them.
func (w *world) entriesOff() bool {
	return w.Cluster != nil && w.Cluster.AccessConfig != nil && w.Cluster.AccessConfig.AuthenticationMode == ekstypes.AuthenticationModeConfigMap
}

// noEntries says what to do about that.
func (c *Config) noEntries() *gitops.Error {
	e := gitops.Errorf(gitops.ConfigInvalid, "accessConfig.accessEntries: the authentication mode of cluster %s is CONFIG_MAP, in which there are no access entries", c.Name)
	e.Try = "remove the entries, or set accessConfig.authenticationMode: API_AND_CONFIG_MAP, which cannot be undone"
	return e
}

// readEntries reads the access entries of the cluster, those that EKS made for itself and for nodes among them.
// Of those for nodes, which EKS makes for each nodegroup, nothing but the type counts, which is fixed: they are asked for once, and with
// anew each time.
func (c *Cloud) readEntries(ctx context.Context, cfg *Config, w *world, anew bool) error {
	if w.entriesOff() {
		return nil
	}
	p := eks.NewListAccessEntriesPaginator(c.aws.eks, &eks.ListAccessEntriesInput{ClusterName: &cfg.Name})
	principals, err := page(ctx, p.HasMorePages, func(ctx context.Context) (*eks.ListAccessEntriesOutput, error) { return p.NextPage(ctx) },
		func(o *eks.ListAccessEntriesOutput) []string { return o.AccessEntries })
	if err != nil {
		return err
	}
	found := make([]*accessEntry, len(principals))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(parallel)
	for i, principal := range principals {
		if found[i] = c.nodeEntry(principal); found[i] != nil && !anew && !cfg.asksEntry(w, principal) {
			continue
		}
		g.Go(func() (err error) { found[i], err = c.readEntry(ctx, cfg, w, principal); return err })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	c.keepNodeEntries(found)
	for i, principal := range principals {
		if found[i] != nil {
			w.Entries[principal] = found[i]
		}
	}
	return nil
}

// asksEntry says that all of an entry counts: git asks for it, a stack of the cluster made it, or all is asked for.
func (c *Config) asksEntry(w *world, principal string) bool {
	wanted, _ := c.entry(principal)
	_, stacked := w.Stacks[entryStack(c.Name, principal)]
	return wanted != nil || stacked || c.whole
}

// nodeEntry is an entry for nodes as of the last sweep; nil when it was none or was not there.
func (c *Cloud) nodeEntry(principal string) *accessEntry {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.nodeEntries[principal]; e != nil {
		return &accessEntry{AccessEntry: e}
	}
	return nil
}

func (c *Cloud) keepNodeEntries(found []*accessEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.nodeEntries)
	for _, e := range found {
		if e != nil && aws.ToString(e.Type) != standardEntry {
			c.nodeEntries[aws.ToString(e.PrincipalArn)] = e.AccessEntry
		}
	}
}

// readEntry gives nil when EKS says that there is no such entry.
func (c *Cloud) readEntry(ctx context.Context, cfg *Config, w *world, principal string) (*accessEntry, error) {
	out, err := c.aws.eks.DescribeAccessEntry(ctx, &eks.DescribeAccessEntryInput{ClusterName: &cfg.Name, PrincipalArn: &principal})
	switch {
	case absent(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	entry := &accessEntry{AccessEntry: out.AccessEntry}
	if !cfg.asksEntry(w, principal) {
		return entry, nil
	}
	entry.Policies, err = c.readPolicies(ctx, cfg.Name, principal)
	if absent(err) {
		return nil, nil
	}
	return entry, err
}

// readPolicies lists the access policies of a principal's entry; without an entry, EKS says that there is none.
func (c *Cloud) readPolicies(ctx context.Context, cluster, principal string) ([]ekstypes.AssociatedAccessPolicy, error) {
	p := eks.NewListAssociatedAccessPoliciesPaginator(c.aws.eks, &eks.ListAssociatedAccessPoliciesInput{ClusterName: &cluster, PrincipalArn: &principal})
	return page(ctx, p.HasMorePages,
		func(ctx context.Context) (*eks.ListAssociatedAccessPoliciesOutput, error) { return p.NextPage(ctx) },
		func(o *eks.ListAssociatedAccessPoliciesOutput) []ekstypes.AssociatedAccessPolicy {
			return o.AssociatedAccessPolicies
		})
}

func (c *Cloud) seeEntry(ctx context.Context, cfg *Config, w *world, principal string) error {
	if err := c.refreshStacks(ctx, cfg, w, entryStack(cfg.Name, principal)); err != nil {
		return err
	}
	delete(w.Entries, principal)
	if w.Cluster == nil || w.entriesOff() {
		return nil
	}
	live, err := c.readEntry(ctx, cfg, w, principal)
	if live != nil {
		w.Entries[principal] = live
	}
	return err
}

// wantedEntry is what the file says of an entry, in the form that compares.
func wantedEntry(e *api.AccessEntry, written gitops.Tree) gitops.Tree {
	out := gitops.Clone(written)
	if _, ok := out["kubernetesGroups"]; ok {
		out["kubernetesGroups"] = sortedList(e.KubernetesGroups)
	}
	if _, ok := out["accessPolicies"]; ok {
		list := make([]any, 0, len(e.AccessPolicies))
		for _, p := range e.AccessPolicies {
			list = append(list, policyTree(p.PolicyARN.String(), p.AccessScope.Type, p.AccessScope.Namespaces))
		}
		out["accessPolicies"] = sortBy(list, "policyARN")
	}
	return out
}

// tree is the entry in the file's words.
func (e *accessEntry) tree() gitops.Tree {
	list := make([]any, 0, len(e.Policies))
	for _, p := range e.Policies {
		scope := scopeOf(p)
		list = append(list, policyTree(aws.ToString(p.PolicyArn), scope.Type, scope.Namespaces))
	}
	return gitops.Tree{
		"principalARN": aws.ToString(e.PrincipalArn), "type": aws.ToString(e.Type), "kubernetesGroups": sortedList(e.KubernetesGroups),
		"kubernetesUsername": aws.ToString(e.Username), "accessPolicies": sortBy(list, "policyARN"),
	}
}

func scopeOf(p ekstypes.AssociatedAccessPolicy) ekstypes.AccessScope {
	if p.AccessScope == nil {
		return ekstypes.AccessScope{}
	}
	return *p.AccessScope
}

func policyTree(arn string, kind ekstypes.AccessScopeType, namespaces []string) gitops.Tree {
	scope := gitops.Tree{"type": string(kind)}
	if len(namespaces) > 0 {
		scope["namespaces"] = sortedList(namespaces)
	}
	return gitops.Tree{"policyARN": arn, "accessScope": scope}
}

// sortedList is the form that sets of names compare in.
func sortedList(names []string) []any {
	out := make([]any, 0, len(names))
	for _, name := range slices.Sorted(slices.Values(names)) {
		out = append(out, name)
	}
	return out
}

// compareEntry compares an access entry. A nil live tree means that there is none, or that its stack has to go first.
func (c *Config) compareEntry(w *world, e *api.AccessEntry, written gitops.Tree) comparison {
	out := comparison{next: wantedEntry(e, written)}
	principal := e.PrincipalARN.String()
	live := w.Entries[principal]
	s, stacked := w.Stacks[entryStack(c.Name, principal)]
	if live == nil || stacked && (stackUseless(s) || stackLeaving(s)) {
		return out
	}
	have := live.tree()
	out.live = pick(have, out.next)
	if out.differs("type") {
		out.replace = append(out.replace, "the type of an access entry is fixed")
	}
	if !stacked || aws.ToString(live.Type) != standardEntry {
		return out
	}
	// Rights that git takes back have to go. Of an entry that something else made, only what git names is git's to say.
	for _, field := range []string{"kubernetesGroups", "accessPolicies"} {
		if _, ok := out.next[field]; !ok && !empty(have[field]) {
			out.live[field] = have[field]
		}
	}
	if name := defaultUsername(e.PrincipalARN); e.KubernetesUsername == "" && have["kubernetesUsername"] != name {
		out.live["kubernetesUsername"], out.next["kubernetesUsername"] = have["kubernetesUsername"], name
	}
	return out
}

// defaultUsername is what EKS calls a principal for which no name is given: a role by its sessions, without its path, anyone
// else by the ARN (EKS user guide, "Create access entries").
func defaultUsername(principal api.ARN) string {
	path, ok := strings.CutPrefix(principal.Resource, "role/")
	if !ok {
		return principal.String()
	}
	session := principal
	session.Service, session.Resource = "sts", "assumed-role/"+path[strings.LastIndex(path, "/")+1:]+"/{{SessionName}}"
	return session.String()
}

func (c *Config) observeEntry(w *world, principal string) gitops.Observation {
	e, written := c.entry(principal)
	stack := entryStack(c.Name, principal)
	if w.Strangers[stack] {
		return gitops.Observation{Err: gitops.Errorf(gitops.Foreign, "stack %s does not carry this cluster's tags", stack)}
	}
	// A file that names the mode moves the cluster first.
	if w.entriesOff() && gitops.StringAt(c.Written, "accessConfig", "authenticationMode") == "" {
		return gitops.Observation{Err: c.noEntries()}
	}
	diff, health := c.compareEntry(w, e, written), gitops.Health{Status: gitops.Ready}
	if _, ok := w.Stacks[stack]; ok {
		health = c.roleHealth(w, stack)
	} else if len(diff.replace) > 0 {
		problem := gitops.Errorf(gitops.Foreign, "the principal has an access entry of type %s, which no stack of this cluster made: nodes may need it", gitops.StringAt(diff.live, "type"))
		problem.Try = fmt.Sprintf("give that type in git, or, if nothing needs it: aws eks delete-access-entry --cluster-name %s --principal-arn %s", c.Name, principal)
		return gitops.Observation{Err: problem}
	}
	o := diff.observation(written, &health)
	if live := w.Entries[principal]; live != nil {
		o.Identity = aws.ToString(live.AccessEntryArn)
	}
	return o
}

// observeEntriesLeft adds the entries that git does not ask for. Those that have a stack are ours; of the rest, those that EKS
// makes for nodes, for capabilities and for itself are not even named, so that nothing can take them for ours. A principal that git names another
// way is let in before the old one is shut out.
func (c *Config) observeEntriesLeft(w *world, left func(kind, name string, live gitops.Tree, owned bool, needs []gitops.Ref)) {
	wanted := c.letIn()
	for _, name := range slices.Sorted(maps.Keys(w.Stacks)) {
		if principal := w.entryOf(name); principal != "" {
			left(KindAccessEntry, principal, gitops.Tree{"principalARN": principal, "stack": name}, true, wanted)
		}
	}
	for _, principal := range slices.Sorted(maps.Keys(w.Entries)) {
		if aws.ToString(w.Entries[principal].Type) == standardEntry && !strings.Contains(principal, ":role/aws-service-role/") && !w.worksAs(principal) {
			left(KindAccessEntry, principal, gitops.Tree{"principalARN": principal}, false, wanted)
		}
	}
}

// letIn is everybody whom git lets in, in either way.
func (c *Config) letIn() (out []gitops.Ref) {
	for _, e := range c.full.AccessConfig.AccessEntries {
		out = append(out, c.ref(KindAccessEntry, e.PrincipalARN.String()))
	}
	for _, m := range c.full.IAMIdentityMappings {
		if m.ServiceName == "" {
			out = append(out, c.ref(KindIdentityMapping, mappingName(m)))
		}
	}
	return out
}

// keepWayIn leaves alone an access entry or an identity mapping that left git and by which this very process comes into the cluster,
// as it may be the only one who could put that right, and a mapping by which nodes do.
func (c *Cloud) keepWayIn(cfg *Config, seen gitops.Observed) {
	c.mu.Lock()
	caller := c.caller
	c.mu.Unlock()
	for _, r := range slices.Collect(maps.Keys(seen)) {
		o := seen[r]
		who := comesIn(caller, r, o.Live)
		if who == "" || o.Next != nil {
			continue
		}
		owned := o.Owned
		o.Owned, o.Extra = false, false
		seen[r] = o
		if owned {
			note := cfg.keptWayIn(r, who)
			seen[note.Ref] = gitops.Observation{Err: note}
		}
	}
}

// comesIn tells who needs an access entry or an identity mapping, of those whom nobody could let in again.
func comesIn(caller string, r gitops.Ref, live gitops.Tree) string {
	switch {
	case r.Kind != KindAccessEntry && r.Kind != KindIdentityMapping:
		return ""
	case calls(caller, r.Name):
		return "the reconciler itself comes"
	case r.Kind == KindIdentityMapping && admitsNodes(live):
		return "nodes come"
	}
	return ""
}

func (c *Config) keptWayIn(r gitops.Ref, who string) *gitops.Error {
	section, field, at := "accessConfig", "accessConfig.accessEntries", "accessConfig.accessEntries"
	end := fmt.Sprintf("aws eks delete-access-entry --cluster-name %s --principal-arn %s", c.Name, r.Name)
	if r.Kind == KindIdentityMapping {
		section, field, at, end = "iamIdentityMappings", "iamIdentityMappings", "iamIdentityMappings["+r.Name+"]", editAuth
	}
	note := gitops.Errorf(gitops.NotManaged, "%s: the entry of %s is not deleted: %s in by it", field, r.Name, who)
	note.Try = "name it in git again or, when that is not needed any more: " + end
	return note.On(c.ref(ConfigKind, at)).At(c.origin(section))
}

// calls reports whether the caller that AWS STS named is an IAM principal, or one of an account: a role's sessions bear its name
// without its path (IAM user guide, "IAM identifiers").
func calls(caller, principal string) bool {
	var who, as api.ARN
	if caller == principal {
		return true
	}
	if who.Set(caller) != nil {
		return false
	}
	if as.Set(principal) != nil || who.AccountID != as.AccountID {
		return who.AccountID == principal
	}
	session, ok := strings.CutPrefix(who.Resource, "assumed-role/")
	name, _, _ := strings.Cut(session, "/")
	return ok && strings.HasPrefix(as.Resource, "role/") && lastPart(as.Resource) == name
}
