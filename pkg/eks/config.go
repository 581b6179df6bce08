package eks

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	logger "github.com/kris-nova/logger"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/version"
	"io"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// Config is one ClusterConfig: as written, as eksctl decodes it, and with eksctl's defaults.
type Config struct {
	// Name and Region are metadata.name and metadata.region.
	Name, Region string
	// Written is the file's content; it says which fields are explicit. It is not to be changed.
	Written gitops.Tree
	// From is where git says so.
	From gitops.Origin
	// full has every default; it is not to be changed (take full.DeepCopy()).
	full *api.ClusterConfig
	// whole says that a sweep reads what the file does not name, too: an import does.
	whole bool
	// notes are fields that are set but not managed.
	notes []*gitops.Error
	// round is the round that an upgrade of Kubernetes is in; nil when none is under way, or nothing was looked at yet.
	round *round
}

// silence keeps eksctl's package-level logger from writing to stdout and makes its stacks carry the tag of the released
// version. Both are globals of eksctl, and both have one right value, so once per process is enough.
//
//nolint:gochecknoglobals // eksctl's own globals
var silence = sync.OnceFunc(func() {
	logger.Writer = io.Discard
	// The old Level is rewritten into BitwiseLevel by every call, which is a race between them; -1 leaves it alone.
	logger.Level, logger.BitwiseLevel = -1, 0
	version.PreReleaseID = ""
})

// Parse checks and decodes a ClusterConfig. It is strict where eksctl is not (case of keys, null list items), defaults and
// validates as `eksctl create cluster -f` does, on copies, and survives eksctl's panics. Errors are ConfigInvalid.
func Parse(item gitops.Item) (*Config, []*gitops.Error) {
	silence()
	faults, err := checkSchema(item.Spec)
	if err != nil {
		return nil, []*gitops.Error{gitops.AsError(gitops.Internal, err)}
	}
	if len(faults) > 0 {
		out := make([]*gitops.Error, 0, len(faults))
		for _, f := range faults {
			message := f.message
			if f.path != "" {
				message = f.path + ": " + f.message
			}
			out = append(out, invalid(item, f.path, errors.New(message)))
		}
		return nil, out
	}
	decoded, err := decode(item.Spec)
	if err != nil {
		return nil, []*gitops.Error{invalid(item, "", err)}
	}
	full := decoded.DeepCopy()
	if err := normalise(full); err != nil {
		return nil, []*gitops.Error{invalid(item, mentioned(err, item.From.Fields), err)}
	}
	c := &Config{Name: full.Metadata.Name, Region: full.Metadata.Region, Written: item.Spec, From: item.From, full: full}
	if problems := c.check(item); len(problems) > 0 {
		return nil, problems
	}
	c.notes = c.notManaged()
	return c, nil
}

// decode is eksctl's strict decoder.
func decode(t gitops.Tree) (*api.ClusterConfig, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, fmt.Errorf("encoding the ClusterConfig: %w", err)
	}
	cfg := &api.ClusterConfig{}
	err = guarded(func() error { return yaml.UnmarshalStrict(body, cfg) })
	if err != nil {
		return nil, errors.New(strings.TrimPrefix(err.Error(), "error unmarshaling JSON: while decoding JSON: "))
	}
	return cfg, nil
}

// normalise does to a decoded file what `eksctl create cluster -f` does before its first call to AWS.
func normalise(cfg *api.ClusterConfig) error {
	return guarded(func() error {
		defer guessVersion(cfg)()
		if err := setVPCDefaults(cfg); err != nil {
			return err
		}
		for _, a := range cfg.Addons {
			if err := a.Validate(); err != nil {
				return err
			}
		}
		api.SetClusterConfigDefaults(cfg)
		if err := api.ValidateClusterConfig(cfg); err != nil {
			return err
		}
		for _, p := range cfg.FargateProfiles {
			if err := p.Validate(); err != nil {
				return err
			}
		}
		// The order differs between the two kinds because eksctl's defaults of the one depend on its validation.
		for i, ng := range cfg.NodeGroups {
			if err := api.ValidateNodeGroup(i, ng, cfg); err != nil {
				return fmt.Errorf("nodeGroups[%d]: %w", i, err)
			}
			if err := api.SetNodeGroupDefaults(ng, cfg.Metadata, cfg.IsControlPlaneOnOutposts()); err != nil {
				return fmt.Errorf("nodeGroups[%d]: %w", i, err)
			}
		}
		for i, ng := range cfg.ManagedNodeGroups {
			if err := api.SetManagedNodeGroupDefaults(ng, cfg.Metadata, cfg.IsControlPlaneOnOutposts()); err != nil {
				return fmt.Errorf("managedNodeGroups[%d]: %w", i, err)
			}
			if err := api.ValidateManagedNodeGroup(i, ng); err != nil {
				return fmt.Errorf("managedNodeGroups[%d]: %w", i, err)
			}
		}
		return nil
	})
}

// guessVersion gives a file that leaves the version to EKS one for the time of the checks: eksctl knows it by then. Which one EKS would
// give is not known here; nothing that is checked depends on it.
func guessVersion(cfg *api.ClusterConfig) (undo func()) {
	said := cfg.Metadata.Version
	if said == "" || said == "auto" || said == latest {
		cfg.Metadata.Version = api.DefaultVersion
	}
	return func() { cfg.Metadata.Version = said }
}

// setVPCDefaults is the part of eksctl's file loader that cannot be imported without its command line
// (pkg/ctl/cmdutils/configfile.go, NewCreateClusterLoader).
func setVPCDefaults(cfg *api.ClusterConfig) error {
	ipv6 := cfg.IPv6Enabled()
	if cfg.VPC == nil {
		cfg.VPC = api.NewClusterVPC(ipv6)
	}
	single := api.ClusterSingleNAT
	switch {
	case cfg.VPC.NAT == nil && !ipv6:
		cfg.VPC.NAT = api.DefaultClusterNAT()
	case cfg.VPC.NAT != nil && api.IsEmpty(cfg.VPC.NAT.Gateway):
		cfg.VPC.NAT.Gateway = &single
	}
	endpoints := cfg.VPC.ClusterEndpoints
	explicit := endpoints != nil && (endpoints.PublicAccess != nil || endpoints.PrivateAccess != nil)
	if cfg.IsFullyPrivate() && explicit {
		return errors.New("vpc.clusterEndpoints cannot be set for a fully private cluster (privateCluster.enabled): its endpoint is private")
	}
	if cfg.IsFullyPrivate() && cfg.VPC.ID != "" && !cfg.HasAnySubnets() {
		return errors.New("vpc.subnets.private must be set for a fully private cluster (privateCluster.enabled) in an existing VPC")
	}
	if cfg.HasAnySubnets() && len(cfg.AvailabilityZones) != 0 {
		return errors.New("vpc.subnets and availabilityZones cannot be set at the same time")
	}
	api.SetClusterEndpointAccessDefaults(cfg.VPC)
	return nil
}

// check holds the rules that are this product's own.
func (c *Config) check(item gitops.Item) []*gitops.Error {
	var out []*gitops.Error
	fail := func(path, format string, args ...any) {
		out = append(out, invalid(item, path, fmt.Errorf(path+": "+format, args...)))
	}
	unique := func(what string, names []string, path func(int) string) {
		first := map[string]int{}
		for i, name := range names {
			if other, twice := first[name]; twice {
				fail(path(i), "%s %q is also defined at %s", what, name, path(other))
				continue
			}
			first[name] = i
		}
	}
	for _, path := range [][]string{protection(), adoption()} {
		switch v := gitops.StringAt(c.Written, path...); v {
		case "", "true", "false":
		default:
			fail("metadata.annotations", "%s is %q: it must be \"true\" or \"false\"", path[2], v)
		}
	}
	var pools, addons, associations, profiles []string
	groups := c.nodegroups()
	for _, g := range groups {
		pools = append(pools, g.name)
	}
	for _, a := range c.full.Addons {
		addons = append(addons, a.CanonicalName())
	}
	for i, p := range c.full.IAM.PodIdentityAssociations {
		associations = append(associations, p.NameString())
		if p.Namespace == "" || p.ServiceAccountName == "" {
			fail(fmt.Sprintf("iam.podIdentityAssociations[%d]", i), "namespace and serviceAccountName are required")
		}
	}
	for _, p := range c.full.FargateProfiles {
		profiles = append(profiles, p.Name)
	}
	if len(c.full.IdentityProviders) > 1 {
		fail("identityProviders[1]", "EKS takes one identity provider per cluster")
	}
	unique("nodegroup", pools, func(i int) string { return groups[i].path + ".name" })
	unique("addon", addons, func(i int) string { return fmt.Sprintf("addons[%d].name", i) })
	unique("Fargate profile", profiles, func(i int) string { return fmt.Sprintf("fargateProfiles[%d].name", i) })
	unique("association", associations, func(i int) string { return fmt.Sprintf("iam.podIdentityAssociations[%d]", i) })
	out = append(out, c.checkMappings(item)...)
	out = append(out, c.checkCapabilities(item)...)
	out = append(out, c.checkSelectors(item)...)
	if len(associations) > 0 && !slices.Contains(addons, api.PodIdentityAgentAddon) && !c.full.IsAutoModeEnabled() {
		fail("iam.podIdentityAssociations", "pods get their credentials from the %s addon: add it to addons", api.PodIdentityAgentAddon)
	}
	return out
}

// guarded turns a panic of eksctl (nil list items, missing sections) into an error.
func guarded(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("eksctl's own validation broke off (%v): a section or list item that it expects is empty", p)
		}
	}()
	return f()
}

func invalid(item gitops.Item, path string, err error) *gitops.Error {
	e := &gitops.Error{Reason: gitops.ConfigInvalid, Err: err}
	from := item.From
	from.Position = position(item.From, path)
	from.Fields = nil
	if item.Ref.Name != "" {
		e = e.On(item.Ref)
	}
	return e.At(from)
}

// position is the line of a field, or of the nearest field above it that has one.
func position(from gitops.Origin, path string) gitops.Position {
	for path != "" {
		if p, ok := from.Fields[path]; ok {
			return p
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			break
		}
		path = path[:cut]
	}
	return from.Position
}

var fieldPath = regexp.MustCompile(`[a-zA-Z]+(\[\d+\])?(\.[a-zA-Z]+(\[\d+\])?)*`)

// mentioned finds the longest field path in an error text of eksctl that the file has, for its line.
func mentioned(err error, fields map[string]gitops.Position) string {
	best := ""
	for _, candidate := range fieldPath.FindAllString(err.Error(), -1) {
		for candidate != "" {
			if _, ok := fields[candidate]; ok {
				if len(candidate) > len(best) {
					best = candidate
				}
				break
			}
			cut := strings.LastIndexAny(candidate, ".[")
			candidate = candidate[:max(cut, 0)]
		}
	}
	return best
}
