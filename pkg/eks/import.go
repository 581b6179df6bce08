package eks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfntypes "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cfn/outputs"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
)

// Imported is a ClusterConfig for a live cluster.
type Imported struct {
	// File is the ClusterConfig as YAML, with remarks.
	File []byte
	// Adopted says that eksctl did not make the cluster.
	Adopted bool
	// Notes say what is not in the file, and why.
	Notes []string
	// Left is what a plan over the file and the live cluster would change all the same, and what it could not tell.
	Left     []plan.Change
	Problems []*gitops.Error
}

// Import writes down a live cluster as a ClusterConfig that says what is neither eksctl's default nor EKS's. It only reads. What the
// engine compares is read as the engine reads it, so that a plan over the file is empty; whether it is, is tried.
func (c *Cloud) Import(ctx context.Context, name string) (Imported, error) {
	cfg, problems := blank(name, c.aws.config.Region)
	if len(problems) > 0 {
		return Imported{}, first(problems)
	}
	r := cfg.ref(KindCluster, name)
	w, err := c.sweep(ctx, cfg, true)
	if err != nil {
		return Imported{}, failure(gitops.ObserveFailed, r, err)
	}
	if err := cfg.importable(w); err != nil {
		return Imported{}, err
	}
	d := newDraft(cfg, w)
	if err := c.lookInto(ctx, d); err != nil {
		return Imported{}, failure(gitops.ObserveFailed, r, err)
	}
	return d.write()
}

// blank is a ClusterConfig that says nothing.
func blank(name, region string) (*Config, []*gitops.Error) {
	cfg, problems := Parse(gitops.Item{Ref: ref(name, ConfigKind, name), Spec: gitops.Tree{
		"apiVersion": api.SchemeGroupVersion.String(), "kind": ConfigKind, "metadata": gitops.Tree{"name": name, "region": region},
	}})
	if cfg != nil {
		cfg.whole = true
	}
	return cfg, problems
}

// importable reports a cluster that cannot be imported.
func (c *Config) importable(w *world) error {
	switch {
	case w.Strangers[clusterStack(c.Name)]:
		return c.foreign(w)
	case w.Cluster == nil:
		e := gitops.Errorf(gitops.ObserveFailed, "there is no cluster %s in %s", c.Name, c.Region)
		e.Try = "aws eks list-clusters --region " + c.Region
		return e.On(c.ref(KindCluster, c.Name))
	case w.Cluster.Status != ekstypes.ClusterStatusActive && w.Cluster.Status != ekstypes.ClusterStatusUpdating:
		e := gitops.Errorf(gitops.ObserveFailed, "cluster %s is %s: what it will be is not to be seen yet", c.Name, w.Cluster.Status)
		e.Try = "import it when it is ACTIVE"
		return e.On(c.ref(KindCluster, c.Name))
	}
	return nil
}

// draft is a ClusterConfig that is being written from what is live.
type draft struct {
	// Config is the blank one.
	*Config
	w *world
	// stack is the cluster's, where there is one, and template what it was made from.
	stack    cfntypes.Stack
	stacked  bool
	template gitops.Tree
	// made are the templates of the nodegroups' stacks, by stack name.
	made map[string]gitops.Tree
	// subnets are the cluster's.
	subnets []ec2types.Subnet
	// offers are what EKS offers by default of each live addon; one without a default has none.
	offers map[string]offer

	out     gitops.Tree
	remarks map[string]string
	notes   []string
}

// newDraft begins with a blank file.
func newDraft(blank *Config, w *world) *draft {
	d := &draft{Config: blank, w: w, out: gitops.Clone(blank.Written), remarks: map[string]string{}, made: map[string]gitops.Tree{}}
	d.stack, d.stacked = w.Stacks[clusterStack(blank.Name)]
	return d
}

func (d *draft) write() (Imported, error) {
	d.writeCluster()
	d.writeNetwork()
	d.writeAddons()
	d.writeAccounts()
	d.writeAssociations()
	d.writeGroups()
	d.writeAccess()
	d.writeCapabilities()
	return d.tried()
}

func (d *draft) note(format string, args ...any) {
	d.notes = append(d.notes, fmt.Sprintf(format, args...))
}

// lookInto reads what a sweep does not: the templates of the stacks of the cluster and its nodegroups, the subnets, and which
// versions of addons are EKS's own choice.
func (c *Cloud) lookInto(ctx context.Context, d *draft) (err error) {
	if d.stacked {
		if d.template, err = c.template(ctx, d.stack); err != nil {
			return err
		}
	}
	for _, g := range d.w.Groups {
		if g.Stack == nil {
			continue
		}
		if d.made[g.Name], err = c.template(ctx, *g.Stack); err != nil {
			return err
		}
	}
	d.offers = map[string]offer{}
	for name := range d.w.Addons {
		d.offers[name], err = c.offer(ctx, name, "", aws.ToString(d.w.Cluster.Version))
		if _, none := errors.AsType[*gitops.Error](err); err != nil && !none {
			return err
		}
	}
	d.subnets, err = c.subnetsOf(ctx, d)
	return err
}

// subnetsOf reads the subnets that the cluster's stack tells, or else those of the control plane.
func (c *Cloud) subnetsOf(ctx context.Context, d *draft) ([]ec2types.Subnet, error) {
	ids := slices.Concat(d.listed(outputs.ClusterSubnetsPrivate), d.listed(outputs.ClusterSubnetsPublic))
	if v := d.w.Cluster.ResourcesVpcConfig; len(ids) == 0 && v != nil {
		ids = v.SubnetIds
	}
	if len(ids) == 0 {
		return nil, nil
	}
	out, err := c.aws.ec2.DescribeSubnets(ctx, &ec2.DescribeSubnetsInput{SubnetIds: ids})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(out.Subnets, func(a, b ec2types.Subnet) int {
		return strings.Compare(aws.ToString(a.SubnetId), aws.ToString(b.SubnetId))
	})
	return out.Subnets, nil
}

// listed is an output of the cluster's stack that is a list.
func (d *draft) listed(name string) []string {
	return strings.FieldsFunc(output(d.stack, name), func(r rune) bool { return r == ',' })
}

// makes says that the cluster's stack made a resource itself.
func (d *draft) makes(resource string) bool {
	return gitops.TreeAt(d.template, "Resources", resource) != nil
}

// writeCluster writes the cluster's own fields, from the table by which they are compared.
func (d *draft) writeCluster() {
	told, _ := treeOf(d.w.Cluster).(gitops.Tree)
	usual := d.usual()
	if output(d.stack, outputs.ClusterFullyPrivate) != "" {
		// This says both, and eksctl does not take them beside it.
		usual["vpc.clusterEndpoints.publicAccess"], usual["vpc.clusterEndpoints.privateAccess"] = nil, nil
		put(d.out, true, "privateCluster", "enabled")
	}
	for _, f := range clusterFields() {
		path := strings.Join(f.path, ".")
		v := f.read(d.Config, d.w, told, nil)
		if values, ok := usual[path]; empty(v) || ok && (values == nil || slices.ContainsFunc(values, func(u any) bool { return equal(u, v) })) {
			continue
		}
		put(d.out, v, f.path...)
	}
	if empty(gitops.ListAt(d.out, "cloudWatch", "clusterLogging", "enableTypes")) {
		delete(d.out, "cloudWatch") // eksctl takes no retention for logs that are not kept
	}
	if !d.stacked {
		put(d.out, "true", adoption()...)
		d.remarks[strings.Join(adoption(), ".")] = "eksctl did not make this cluster: it is neither made nor deleted from here"
	}
	d.writePools()
	if d.w.Provider {
		put(d.out, true, "iam", "withOIDC")
	}
	if d.w.Cluster.OutpostConfig != nil {
		d.note("outpost: clusters on Outposts are not managed")
	}
	if mode := d.w.Cluster.AccessConfig; mode == nil || mode.AuthenticationMode != ekstypes.AuthenticationModeApi {
		d.note("iamIdentityMappings: who comes in through the ConfigMap aws-auth is in the cluster, and AWS does not tell it")
	}
}

// usual are the values of the cluster's fields that need no word: what eksctl and EKS give a cluster of which nobody said more, and
// what its stack made. A field without a value needs none in any case.
func (d *draft) usual() map[string][]any {
	out := map[string][]any{
		strings.Join(protection(), "."):                {"false"},
		"accessConfig.authenticationMode":              {string(ekstypes.AuthenticationModeApiAndConfigMap)},
		"upgradePolicy.supportType":                    {string(ekstypes.SupportTypeExtended)},
		"controlPlaneScalingConfig.tier":               {string(ekstypes.ProvisionedControlPlaneTierStandard)},
		"zonalShiftConfig.enabled":                     {false},
		"autoModeConfig.enabled":                       {false},
		"cloudWatch.clusterLogging.logRetentionInDays": {int64(0)},
		"kubernetesNetworkConfig.ipFamily":             {api.IPV4Family},
		// EKS takes one of these, by the range of the VPC (API reference, KubernetesNetworkConfigRequest), and the one of IPv6 itself.
		"kubernetesNetworkConfig.serviceIPv4CIDR": {"10.100.0.0/16", "172.20.0.0/16"},
		"kubernetesNetworkConfig.serviceIPv6CIDR": nil,
		"vpc.clusterEndpoints.publicAccess":       {true},
		"vpc.clusterEndpoints.privateAccess":      {false},
		"vpc.publicAccessCIDRs":                   {[]any{"0.0.0.0/0"}, []any{"0.0.0.0/0", "::/0"}},
		// writeNetwork and writePools write those, where they need a word; the role of Auto Mode's nodes cannot change.
		"availabilityZones": nil, "vpc.cidr": nil, "vpc.nat.gateway": nil, "vpc.securityGroup": nil, "privateCluster.enabled": nil, "autoModeConfig.nodePools": nil, "autoModeConfig.nodeRoleARN": nil,
		"vpc.autoAllocateIPv6": {false}, "vpc.ipv6Cidr": {amazons, none}, "vpc.ipv6Pool": {amazons, none},
		"vpc.controlPlaneSecurityGroupIDs": {unordered(d.listed(outputs.ClusterSecurityGroup))},
		"vpc.controlPlaneSubnetIDs": {
			unordered(slices.Concat(d.listed(outputs.ClusterSubnetsPrivate), d.listed(outputs.ClusterSubnetsPublic))),
		},
	}
	if !d.stacked {
		out["vpc.controlPlaneSubnetIDs"], out["vpc.controlPlaneSecurityGroupIDs"] = nil, nil // vpc.subnets and vpc.securityGroup say where
	}
	for path, resource := range map[string]string{"iam.serviceRoleARN": "ServiceRole", "vpc.id": "VPC", "vpc.sharedNodeSecurityGroup": "ClusterSharedNodeSecurityGroup"} {
		if d.makes(resource) {
			out[path] = nil
		}
	}
	return out
}

// writePools writes the node pools of Auto Mode, where it is on and they are not those that eksctl gives it.
func (d *draft) writePools() {
	if !autoModeOn(d.w) {
		return
	}
	if pools := sortedStrings(d.w.Cluster.ComputeConfig.NodePools); !equal(pools, sortedStrings(api.AutoModeKnownNodePools)) {
		put(d.out, pools, "autoModeConfig", "nodePools")
	}
}

// writeNetwork writes the network: little where the cluster's stack made it, else all that new nodegroups need.
func (d *draft) writeNetwork() {
	if d.makes("VPC") {
		usual := api.DefaultCIDR()
		if cidr := gitops.StringAt(d.template, "Resources", "VPC", "Properties", "CidrBlock"); cidr != "" && cidr != usual.String() {
			put(d.out, cidr, "vpc", "cidr")
		}
		if nat := output(d.stack, outputs.ClusterFeatureNATMode); nat != "" && nat != api.ClusterSingleNAT {
			put(d.out, nat, "vpc", "nat", "gateway")
		}
		return
	}
	zones := map[string]int{}
	for _, s := range d.subnets {
		zones[d.kindOf(s)+aws.ToString(s.AvailabilityZone)]++
	}
	for _, s := range d.subnets {
		id, zone, kind := aws.ToString(s.SubnetId), aws.ToString(s.AvailabilityZone), d.kindOf(s)
		item := gitops.Tree{"id": id}
		name := zone
		if zones[kind+zone] > 1 {
			name, item["az"] = id, zone // eksctl takes a name that is a zone for the one subnet in it
		}
		put(d.out, item, "vpc", "subnets", kind, name)
	}
	if v := d.w.Cluster.ResourcesVpcConfig; !d.stacked && v != nil {
		put(d.out, aws.ToString(v.ClusterSecurityGroupId), "vpc", "securityGroup")
		d.remarks["vpc.subnets"] = "public are those that give nodes a public address; new nodegroups use them"
	}
}

// kindOf is private or public, as the cluster's stack says; else a subnet is public that gives nodes a public address, which
// eksctl asks of those it calls public.
func (d *draft) kindOf(s ec2types.Subnet) string {
	id := aws.ToString(s.SubnetId)
	switch {
	case slices.Contains(d.listed(outputs.ClusterSubnetsPublic), id):
		return "public"
	case slices.Contains(d.listed(outputs.ClusterSubnetsPrivate), id):
		return "private"
	case aws.ToBool(s.MapPublicIpOnLaunch):
		return "public"
	}
	return "private"
}

// ids are the subnets of one kind.
func (d *draft) ids(kind string) []string {
	var out []string
	for _, s := range d.subnets {
		if d.kindOf(s) == kind {
			out = append(out, aws.ToString(s.SubnetId))
		}
	}
	return out
}

// tried is the draft with what comes of it in the world that it was written from.
func (d *draft) tried() (Imported, error) {
	file, err := encode(d.out, d.remarks)
	if err != nil {
		return Imported{}, gitops.AsError(gitops.Internal, err)
	}
	out := Imported{File: file, Adopted: !d.stacked, Notes: d.notes}
	cfg, problems := Parse(gitops.Item{Ref: ref(d.Name, ConfigKind, d.Name), Spec: d.out})
	if len(problems) > 0 {
		out.Problems = problems
		return out, nil
	}
	p := plan.Build(plan.Input{Desired: gitops.Desired{Cluster: d.Name}, Observed: cfg.observe(d.w, false)})
	out.Left = p.Changes
	for _, p := range p.Problems {
		if !p.Reason.Note() {
			out.Problems = append(out.Problems, p)
		}
	}
	return out, nil
}

// ownTags are the tags that neither a tool set nor the whole cluster has.
func (d *draft) ownTags(tags map[string]string) gitops.Tree {
	common := gitops.TreeAt(d.out, "metadata", "tags")
	out := gitops.Tree{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		if !reservedTag(key) && common[key] != tags[key] {
			out[key] = tags[key]
		}
	}
	return out
}

// at is the path of an item of a list.
func at(list string, i int) string { return fmt.Sprintf("%s[%d]", list, i) }

// say writes a field, unless there is nothing to say.
func say(t gitops.Tree, name string, v any) {
	if !empty(v) {
		t[name] = v
	}
}

// decoded gives a part of a file the type that eksctl has for it.
func decoded[T any](t gitops.Tree) (*T, error) {
	body, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	out := new(T)
	return out, json.Unmarshal(body, out)
}
