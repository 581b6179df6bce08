package eks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/iam"
	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// An identity mapping is an entry of the ConfigMap aws-auth. Only entries that git names, or that were applied from here, are ever
// changed or removed: those of people stay. So do, in any case, those that let nodes in, since without them nodes are lost.

// authState is what the cluster's API says about the ConfigMap.
type authState struct {
	Data map[string]string
	Err  string
}

// mappingName is what a mapping goes by: an ARN or an account; one for a service is not managed.
func mappingName(m *api.IAMIdentityMapping) string {
	switch {
	case m.ServiceName != "":
		return m.ServiceName + "/" + m.Namespace
	case m.Account != "":
		return m.Account
	}
	return m.ARN
}

// mapping finds an identity mapping of the file and the tree it is written as.
func (c *Config) mapping(name string) (*api.IAMIdentityMapping, gitops.Tree) {
	for i, m := range c.full.IAMIdentityMappings {
		if m.ServiceName == "" && mappingName(m) == name {
			return m, listItem(c.Written, i, "iamIdentityMappings")
		}
	}
	return nil, nil
}

// checkMappings holds identity mappings to what aws-auth takes. eksctl lets an ARN be mapped twice, of which the last counts.
func (c *Config) checkMappings(item gitops.Item) []*gitops.Error {
	var out []*gitops.Error
	first := map[string]int{}
	for i, m := range c.full.IAMIdentityMappings {
		path := fmt.Sprintf("iamIdentityMappings[%d]", i)
		if m.ServiceName == "" && m.Account == "" {
			if _, err := iam.NewIdentity(m.ARN, m.Username, m.Groups); err != nil {
				out = append(out, invalid(item, path, fmt.Errorf("%s: %w", path, err)))
			}
		}
		name := strings.ToLower(mappingName(m))
		if other, twice := first[name]; twice {
			out = append(out, invalid(item, path, fmt.Errorf("%s: %s is also mapped at iamIdentityMappings[%d]", path, mappingName(m), other)))
			continue
		}
		first[name] = i
	}
	return out
}

// readAuth asks the cluster's API for aws-auth, when git or the inventory has mappings.
func (c *Cloud) readAuth(ctx context.Context, cfg *Config, w *world) {
	c.mu.Lock()
	asked := c.mapped || len(cfg.full.IAMIdentityMappings) > 0
	c.mu.Unlock()
	w.Auth = nil
	if c.AuthMap == nil || !asked || c.Teardown || w.Cluster == nil {
		return
	}
	if w.Cluster.Status != ekstypes.ClusterStatusActive && w.Cluster.Status != ekstypes.ClusterStatusUpdating {
		return
	}
	data, err := c.AuthMap.AuthMap(ctx)
	w.Auth = &authState{Data: data}
	if err != nil {
		w.Auth.Err = gitops.AsError(gitops.Unreachable, err).Message()
	}
}

// nodeGroup is the group of all nodes (Kubernetes, "Using Node Authorization").
const nodeGroup = "system:nodes"

// admitsNodes says that a mapping lets nodes in.
func admitsNodes(m gitops.Tree) bool {
	return slices.Contains(gitops.ListAt(m, "groups"), any(nodeGroup)) || strings.HasPrefix(gitops.StringAt(m, "username"), "system:node:")
}

// keepNodes refuses what would shut nodes out: to remove an entry that lets them in, or to make another of it.
func keepNodes(name string, entries []gitops.Tree, next gitops.Tree) error {
	if admitsNodes(next) || !slices.ContainsFunc(entries, admitsNodes) {
		return nil
	}
	e := gitops.Errorf(gitops.Blocked, "ConfigMap %s lets nodes in by the entry of %s, and would not any more", authMap, name)
	e.Try = "give it the group " + nodeGroup + " in git or, when no node needs it: " + editAuth
	return e
}

// mappings are all entries of aws-auth; of several with one name, the last, unless one lets nodes in. The error says that they are
// not known.
func (w *world) mappings() (map[string]gitops.Tree, error) {
	switch {
	case w.Auth == nil:
		return nil, gitops.Errorf(gitops.Unreachable, "the cluster was not asked for ConfigMap %s", authMap)
	case w.Auth.Err != "":
		return nil, gitops.Errorf(gitops.Unreachable, "reading ConfigMap %s: %s", authMap, w.Auth.Err)
	}
	out := map[string]gitops.Tree{}
	for _, l := range authLists() {
		doc, err := l.parse(w.Auth.Data)
		if err != nil {
			return nil, err
		}
		for _, item := range doc.Content[0].Content {
			if name := l.name(item); !admitsNodes(out[name]) {
				out[name] = l.view(item)
			}
		}
	}
	return out, nil
}

// book remembers whether identity mappings and capabilities were applied from here.
func (c *Cloud) book(inv gitops.Inventory) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for r := range inv {
		c.mapped = c.mapped || r.Domain == gitops.EKS && r.Kind == KindIdentityMapping
		c.capable = c.capable || r.Domain == gitops.EKS && r.Kind == KindCapability
	}
}

// doubtMappings keeps mappings of the inventory from being taken for gone where aws-auth could not be read.
func (c *Config) doubtMappings(w *world, inv gitops.Inventory, seen gitops.Observed) {
	_, err := w.mappings()
	if err == nil || w.Cluster == nil {
		return
	}
	for r := range inv {
		if _, told := seen[r]; !told && r.Domain == gitops.EKS && r.Kind == KindIdentityMapping && r.Namespace == c.Name {
			e := *gitops.AsError(gitops.Unreachable, err)
			seen[r] = gitops.Observation{Err: e.On(r)}
		}
	}
}

// mappingsOff says that the cluster does not look into aws-auth, or will not once git is applied.
func (c *Config) mappingsOff(w *world) bool {
	mode := gitops.StringAt(c.Written, "accessConfig", "authenticationMode")
	if mode == "" && w.Cluster != nil && w.Cluster.AccessConfig != nil {
		mode = string(w.Cluster.AccessConfig.AuthenticationMode)
	}
	return mode == string(ekstypes.AuthenticationModeApi)
}

// noMappings says what to do about that.
func (c *Config) noMappings() *gitops.Error {
	e := gitops.Errorf(gitops.ConfigInvalid, "iamIdentityMappings: the authentication mode of cluster %s is API, in which ConfigMap %s means nothing", c.Name, authMap)
	e.Try = "let them in by accessConfig.accessEntries instead, with the groups as kubernetesGroups and the username as kubernetesUsername"
	return e
}

// compareMapping compares a mapping with the entry that counts. A nil live tree means that there is none.
func (c *Config) compareMapping(w *world, name string) (comparison, error) {
	m, _ := c.mapping(name)
	out := comparison{next: mapped(m.ARN, m.Username, m.Groups)}
	if m.Account != "" {
		out.next = gitops.Tree{"account": m.Account}
	}
	if w.Auth == nil {
		if w.Cluster != nil && w.Cluster.Status != ekstypes.ClusterStatusCreating {
			out.live = out.next // it was not asked: an unknown is no reason for anything
		}
		return out, nil
	}
	if w.Auth.Err != "" {
		return out, gitops.Errorf(gitops.Unreachable, "reading ConfigMap %s: %s", authMap, w.Auth.Err)
	}
	l := listOf(name)
	doc, err := l.parse(w.Auth.Data)
	if err != nil {
		return out, err
	}
	entries := l.entries(doc.Content[0], name)
	if len(entries) == 0 {
		return out, nil
	}
	if err := keepNodes(name, entries, out.next); err != nil {
		return out, err
	}
	out.live = entries[len(entries)-1]
	if _, ok := out.live["arn"]; ok {
		out.live["arn"] = name // of whatever case
	}
	if len(entries) > 1 {
		out.live["entries"], out.next["entries"] = int64(len(entries)), int64(1)
	}
	return out, nil
}

func (c *Config) observeMapping(w *world, name string) gitops.Observation {
	if c.mappingsOff(w) {
		return gitops.Observation{Err: c.noMappings()}
	}
	diff, err := c.compareMapping(w, name)
	if err != nil {
		return problem(err)
	}
	_, written := c.mapping(name)
	return diff.observation(written, nil)
}

// observeMappingsLeft adds the entries that git does not name. None of them is ours by itself: the inventory says which were applied
// from here. A name that git writes in another case is the same.
func (c *Config) observeMappingsLeft(w *world, left func(kind, name string, live gitops.Tree, owned bool, needs []gitops.Ref)) {
	all, err := w.mappings()
	if err != nil {
		return // doubtMappings tells it
	}
	wanted := c.letIn()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		named := func(r gitops.Ref) bool { return r.Kind == KindIdentityMapping && strings.EqualFold(r.Name, name) }
		if !slices.ContainsFunc(wanted, named) {
			left(KindIdentityMapping, name, all[name], false, wanted)
		}
	}
}

// stepMapping writes one entry. Nobody else's is touched.
func (c *Cloud) stepMapping(ctx context.Context, cfg *Config, w *world, r gitops.Ref) error {
	if w.Cluster == nil {
		return gitops.Errorf(gitops.Blocked, "the cluster is not there yet")
	}
	if cfg.mappingsOff(w) {
		return cfg.noMappings()
	}
	diff, err := cfg.compareMapping(w, r.Name)
	if err != nil || diff.same() || c.AuthMap == nil {
		return err
	}
	if err := c.attempt(ctx, cfg, r, diff, ""); err != nil {
		return err
	}
	m, _ := cfg.mapping(r.Name)
	return c.AuthMap.EditAuthMap(ctx, func(data map[string]string) error {
		l := listOf(r.Name)
		return l.edit(data, func(list *yaml.Node) error {
			if err := keepNodes(r.Name, l.entries(list, r.Name), diff.next); err != nil {
				return err
			}
			l.set(list, r.Name, m.Username, m.Groups)
			return nil
		})
	})
}

// removeMapping removes the entries of one name.
func (c *Cloud) removeMapping(ctx context.Context, w *world, r gitops.Ref) error {
	if c.AuthMap == nil || w.Cluster == nil {
		return nil
	}
	return c.AuthMap.EditAuthMap(ctx, func(data map[string]string) error {
		l := listOf(r.Name)
		return l.edit(data, func(list *yaml.Node) error {
			if err := keepNodes(r.Name, l.entries(list, r.Name), nil); err != nil {
				return err
			}
			list.Content = slices.DeleteFunc(list.Content, l.of(r.Name))
			return nil
		})
	})
}

func (c *Cloud) mappingArrived(cfg *Config, w *world, name string) (gitops.Health, error) {
	diff, err := cfg.compareMapping(w, name)
	if err != nil {
		return gitops.Health{}, err
	}
	if diff.live == nil || !diff.same() {
		return next("ConfigMap %s does not have it as git says yet", authMap), nil
	}
	return gitops.Health{Status: gitops.Ready}, nil
}

// mappingGone tells whether a mapping is gone; where that is not known, it is not.
func (w *world) mappingGone(name string) gitops.Health {
	if w.Cluster == nil {
		return gitops.Health{Status: gitops.Absent}
	}
	all, err := w.mappings()
	if err != nil {
		return gitops.Health{Status: gitops.Terminating, Message: gitops.AsError(gitops.Unreachable, err).Message(), Step: true}
	}
	for other := range all {
		if strings.EqualFold(other, name) {
			return gitops.Health{Status: gitops.Terminating, Message: "ConfigMap " + authMap + " still has it", Step: true}
		}
	}
	return gitops.Health{Status: gitops.Absent}
}
