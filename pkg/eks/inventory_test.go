package eks

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/eks"
	ekstypes "github.com/aws/aws-sdk-go-v2/service/eks/types"
	gocmp "github.com/google/go-cmp/cmp"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"

	"github.com/eks-gitops/reconciler/internal/sim/aws/modelcheck"
	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// entry says what becomes of one field of a ClusterConfig, and of all that is below it, where no other entry is nearer.
type entry struct {
	// path is as in eksctl's schema, with [] after a list: "managedNodeGroups[].labels".
	path  string
	class class
	// seen is where it is observed, by the call that changes it.
	seen, by, note string
}

// inventory classifies every field of a ClusterConfig. It is read from the tables that the engine works with; what has code
// of its own instead is listed here.
func inventory(t *testing.T) []entry {
	t.Helper()
	var out []entry
	for _, f := range clusterFields() {
		seen := f.from
		if f.seen != "" && !f.names {
			seen = "eks:DescribeCluster " + f.seen
		}
		out = append(out, entry{strings.Join(f.path, "."), f.class(), seen, f.by, f.note})
	}
	for _, f := range madeWithFields() {
		out = append(out, entry{path: strings.Join(f.path, "."), class: noticed, seen: f.from, note: f.note})
	}
	for _, f := range uncomparedFields() {
		out = append(out, entry{path: strings.Join(f.path, "."), class: f.class, note: f.note})
	}
	out = append(out, entry{"iam.withOIDC", mutable, "iam:GetOpenIDConnectProvider", "iam:CreateOpenIDConnectProvider", "switched on, never off: roles rely on it"})
	return slices.Concat(out, groupEntries(leaves(t), true), groupEntries(leaves(t), false), addonEntries(), accountEntries(), associationEntries(), accessEntries(), mappingEntries(), capabilityEntries())
}

// recordedByStack is where the file of a nodegroup is found that AWS does not tell.
const recordedByStack = "what its stack recorded"

// tellsOf are those of a teller's calls that it reads for a kind of nodegroup: EKS describes managed ones only.
func tellsOf(calls string, managed bool) string {
	const eks, scaling = "eks:DescribeNodegroup", "autoscaling:DescribeAutoScalingGroups"
	all := strings.Split(calls, ", ")
	both := slices.Contains(all, eks) && slices.Contains(all, scaling)
	return strings.Join(slices.DeleteFunc(all, func(call string) bool {
		return call == eks && !managed || call == scaling && managed && both
	}), ", ")
}

// groupEntries are the rows of the nodegroups of one kind.
func groupEntries(schema []string, managed bool) []entry {
	list, live := "nodeGroups[]", "autoscaling:DescribeAutoScalingGroups"
	if managed {
		list, live = "managedNodeGroups[]", "eks:DescribeNodegroup"
	}
	var out []entry
	for _, f := range fields() {
		path := join(list, f.name)
		if !slices.ContainsFunc(schema, func(leaf string) bool { return covers(path, leaf) }) {
			continue // a field of the other kind
		}
		e := entry{path: path, class: f.class(managed), note: f.note}
		switch e.class {
		case mutable:
			e.seen, e.by = cmp.Or(f.seenIn(managed), live), f.by
			if !managed {
				e.by = f.selfBy
			}
		case replaced:
			e.seen = cmp.Or(f.seenIn(managed), recordedByStack)
			switch {
			case f.teller.drifts:
				e.seen = tellsOf(f.teller.seen, managed)
			case f.live == nil && f.teller.of != nil:
				e.seen += ", else " + tellsOf(f.teller.seen, managed)
			}
		default:
		}
		out = append(out, e)
	}
	if managed {
		out = append(out, entry{list + ".launchTemplate.version", mutable, live, byGroupVersion, ""})
	}
	if !managed {
		out = append(out, entry{list + "." + distribution + "." + instanceTypes, replaced, live, "", "their order is changed in place"})
	}
	return append(out,
		entry{path: list + ".ssh.publicKey", class: refused, note: "import the key and name it: publicKeyName"},
		entry{path: list + ".ssh.publicKeyPath", class: refused, note: "import the key and name it: publicKeyName"},
	)
}

// The calls that change addons and the roles of service accounts.
const (
	byAddon       = "eks:UpdateAddon"
	byStack       = "cloudformation:UpdateStack"
	byAssociation = "eks:UpdatePodIdentityAssociation"
)

func addonEntries() []entry {
	const addon, live, stack = "addons[].", "eks:DescribeAddon", "cloudformation:GetTemplate"
	out := []entry{
		{path: addon + "name", class: naming},
		{addon + "version", mutable, live, byAddon, "without it the version is left alone; latest follows EKS"},
		{addon + "configurationValues", mutable, live, byAddon, "CoreDNS without them gets `computeType: Fargate` where a Fargate profile selects it and there are no nodegroups"},
		{addon + "serviceAccountRoleARN", mutable, live, byAddon, ""},
		{addon + "attachPolicy", mutable, stack, byStack, ""},
		{addon + "attachPolicyARNs", mutable, stack, byStack, ""},
		{addon + "wellKnownPolicies", mutable, stack, byStack, ""},
		{addon + "permissionsBoundary", mutable, stack, byStack, ""},
		{addon + "tags", mutable, live, byTags, "tags of others are left alone"},
		{addon + "namespaceConfig", replaced, live, "", ""},
		{addon + "podIdentityAssociations", settled, "", "", "EKS takes serviceAccountName and roleARN alone; tags are those of the role's stack"},
		{addon + "podIdentityAssociations[].serviceAccountName", mutable, live, byAddon, ""},
		{addon + "podIdentityAssociations[].roleARN", mutable, "eks:DescribePodIdentityAssociation", byAddon, ""},
	}
	for name := range strings.FieldsSeq("permissionPolicy permissionPolicyARNs permissionPolicyName wellKnownPolicies permissionsBoundaryARN roleName") {
		out = append(out, entry{addon + "podIdentityAssociations[]." + name, mutable, stack, byStack, ""})
	}
	for _, name := range addonSteering() {
		out = append(out, entry{path: addon + name, class: steering})
	}
	return out
}

func accountEntries() []entry {
	const account, stack = "iam.serviceAccounts[].", "cloudformation:GetTemplate"
	out := []entry{
		{path: account + "metadata", class: naming},
		{account + "metadata.annotations", mutable, "the service account", "the service account", "what leaves git stays"},
		{account + "metadata.labels", mutable, "the service account", "the service account", "what leaves git stays"},
		{account + "attachRoleARN", mutable, "the service account", "the service account's annotation", ""},
		{account + "roleOnly", steering, "", "", "whether the service account is made, too"},
		{account + "status", steering, "", "", "written by eksctl, read by nobody"},
		{account + "tags", mutable, "cloudformation:DescribeStacks", byStack, "tags of the role's stack; those of others are left alone"},
	}
	for name := range strings.FieldsSeq("attachPolicy attachPolicyARNs wellKnownPolicies permissionsBoundary roleName subjectPattern") {
		out = append(out, entry{account + name, mutable, stack, byStack, ""})
	}
	return out
}

// accessEntries are what lets people, nodes and pods in.
func accessEntries() []entry {
	const access, profile, login = "accessConfig.accessEntries[].", "fargateProfiles[].", "identityProviders[]."
	const profileLive, loginLive = "eks:DescribeFargateProfile", "eks:DescribeIdentityProviderConfig"
	out := []entry{
		{path: access + "principalARN", class: naming},
		{access + "type", replaced, "eks:DescribeAccessEntry", "", "an entry of another type that something else made is left alone"},
		{access + "kubernetesGroups", mutable, "eks:DescribeAccessEntry", "eks:UpdateAccessEntry", ""},
		{access + "kubernetesUsername", mutable, "eks:DescribeAccessEntry", "eks:UpdateAccessEntry", ""},
		{access + "accessPolicies", mutable, "eks:ListAssociatedAccessPolicies", "eks:AssociateAccessPolicy", ""},
		{path: profile + "name", class: naming},
		{profile + "tags", mutable, profileLive, byTags, "tags of others are left alone"},
		{profile + "status", steering, "", "", "written by eksctl, read by nobody"},
		{"iam.fargatePodExecutionRoleARN", replaced, profileLive, "", "of the profiles that name none"},
		{path: login + "name", class: naming},
		{login + "tags", mutable, loginLive, byTags, "tags of others are left alone"},
	}
	for name := range strings.FieldsSeq("selectors subnets podExecutionRoleARN") {
		out = append(out, entry{profile + name, replaced, profileLive, "", ""})
	}
	for name := range strings.FieldsSeq("type issuerURL clientID usernameClaim usernamePrefix groupsClaim groupsPrefix requiredClaims") {
		out = append(out, entry{login + name, replaced, loginLive, "", ""})
	}
	return out
}

// mappingEntries are the rows of identity mappings, past those that nothing compares.
func mappingEntries() []entry {
	const mapping, live = "iamIdentityMappings[].", "the ConfigMap aws-auth"
	return []entry{
		{path: mapping + "arn", class: naming, note: "entries that git does not name, and that were not applied from here, are left alone; those that let nodes in stay in any case"},
		{path: mapping + "account", class: naming},
		{mapping + "username", mutable, live, live, ""},
		{mapping + "groups", mutable, live, live, ""},
	}
}

func associationEntries() []entry {
	const association, live, stack = "iam.podIdentityAssociations[].", "eks:DescribePodIdentityAssociation", "cloudformation:GetTemplate"
	out := []entry{
		{path: association + "namespace", class: naming},
		{path: association + "serviceAccountName", class: naming},
		{association + "roleARN", mutable, live, byAssociation, ""},
		{association + "targetRoleARN", mutable, live, byAssociation, ""},
		{association + "disableSessionTags", mutable, live, byAssociation, ""},
		{association + "policy", mutable, live, byAssociation, ""},
		{association + "tags", mutable, live, byTags, "tags of others are left alone"},
		{association + "createServiceAccount", steering, "", "", "whether the service account is made, too"},
	}
	for name := range strings.FieldsSeq("permissionPolicy permissionPolicyARNs permissionPolicyName wellKnownPolicies permissionsBoundaryARN roleName") {
		out = append(out, entry{association + name, mutable, stack, byStack, ""})
	}
	return out
}

// leaves lists the fields of eksctl's schema that have none below them, with [] after a list.
func leaves(t *testing.T) []string {
	t.Helper()
	root, err := loadSchema()
	if err != nil {
		t.Fatal(err)
	}
	c := &schemaCheck{definitions: root.Definitions}
	var out []string
	var walk func(path string, n *schemaNode)
	walk = func(path string, n *schemaNode) {
		n = c.resolve(n)
		properties := c.properties(n)
		switch {
		case n.Items != nil:
			walk(path+"[]", n.Items)
		case len(properties) == 0:
			out = append(out, path)
		default:
			for _, name := range slices.Sorted(maps.Keys(properties)) {
				walk(join(path, name), properties[name])
			}
		}
	}
	walk("", root)
	return out
}

// covers says that a field is what an entry's path names, or below it.
func covers(path, field string) bool {
	rest, ok := strings.CutPrefix(field, path)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// speaker is the entry that speaks for a field: the nearest one.
func speaker(all []entry, field string) entry {
	var nearest entry
	for _, e := range all {
		if covers(e.path, field) && len(e.path) > len(nearest.path) {
			nearest = e
		}
	}
	return nearest
}

// TestInventory: every field of eksctl's schema has one entry that speaks for it, and no entry speaks for nothing. A new
// version of eksctl with a new field fails here until somebody says what becomes of it.
func TestInventory(t *testing.T) {
	t.Parallel()
	all, fields := inventory(t), leaves(t)
	seen, speaks := map[string]bool{}, map[string]bool{}
	for _, e := range all {
		if seen[e.path] {
			t.Errorf("%s is listed twice", e.path)
		}
		seen[e.path] = true
	}
	for _, field := range fields {
		e := speaker(all, field)
		if e.path == "" {
			t.Errorf("nothing says what becomes of %s", field)
		}
		speaks[e.path] = true
	}
	free := []string{strings.Join(protection(), "."), strings.Join(adoption(), ".")} // keys of an object with free keys
	for _, e := range all {
		if !speaks[e.path] && !slices.Contains(free, e.path) {
			t.Errorf("%s speaks for no field of eksctl's schema", e.path)
		}
	}
	for _, name := range strings.Fields(recordedFields) {
		if !seen["managedNodeGroups[]."+name] && !seen["nodeGroups[]."+name] {
			t.Errorf("%s is a field of no nodegroup", name)
		}
	}
}

// here is a file that says something at a path, in which [] marks lists.
func here(path []string) any {
	if len(path) == 0 {
		return "here"
	}
	key, list := strings.CutSuffix(path[0], "[]")
	v := here(path[1:])
	if list {
		v = []any{v}
	}
	return gitops.Tree{key: v}
}

// TestInventoryTellsTheEngine: what an entry says is what the engine does.
func TestInventoryTellsTheEngine(t *testing.T) {
	t.Parallel()
	for _, e := range inventory(t) {
		list, name, ofGroup := strings.Cut(e.path, "NodeGroups[].")
		if list == "nodeGroups[]" || strings.HasPrefix(e.path, "nodeGroups[].") {
			list, name, ofGroup = "", strings.TrimPrefix(e.path, "nodeGroups[]."), true
		}
		cfg, value := &Config{Name: "dev", full: api.NewClusterConfig(), Written: gitops.Tree{}}, gitops.Tree{}
		put(value, "here", strings.Split(name, ".")...)
		switch {
		case ofGroup && list == "managed":
			ng := api.NewManagedNodeGroup()
			ng.Name, cfg.full.ManagedNodeGroups = "a", []*api.ManagedNodeGroup{ng}
			cfg.Written["managedNodeGroups"] = []any{value}
		case ofGroup:
			ng := api.NewNodeGroup()
			ng.Name, cfg.full.NodeGroups = "a", []*api.NodeGroup{ng}
			cfg.Written["nodeGroups"] = []any{value}
		default:
			cfg.Written, _ = here(strings.Split(e.path, ".")).(gitops.Tree)
		}
		if noted := len(cfg.notManaged()) > 0; noted != (e.class == created || e.class == unmanaged) {
			t.Errorf("%s: a plan notes it: %v", e.path, noted)
		}
		if ofGroup && !strings.Contains(name, ".") {
			g := &group{Name: "a", User: "a", Managed: list == "managed", Recorded: gitops.Tree{name: "there"}, Nodegroup: &ekstypes.Nodegroup{}}
			if is := len(cfg.compareGroup(cfg.nodegroups()[0], g).replace) > 0; is != (e.class == replaced) {
				t.Errorf("%s: a difference replaces the nodegroup: %v", e.path, is)
			}
		}
		if (e.class == mutable) != (e.by != "") || (e.class == mutable || e.class == immutable || e.class == replaced || e.class == noticed) != (e.seen != "") {
			t.Errorf("%s: it is observed from %q and changed by %q", e.path, e.seen, e.by)
		}
	}
}

// TestRefusedFields: what the inventory calls refused is an error where it is set.
func TestRefusedFields(t *testing.T) {
	t.Parallel()
	text := "x"
	for path, set := range map[string]func(*api.NodeGroupBase){
		"outpostARN": func(b *api.NodeGroupBase) { b.OutpostARN = text },
		"ssh.publicKey": func(b *api.NodeGroupBase) {
			b.SSH = &api.NodeGroupSSH{Allow: api.Enabled(), PublicKey: &text}
		},
		"ssh.publicKeyPath": func(b *api.NodeGroupBase) {
			b.SSH = &api.NodeGroupSSH{Allow: api.Enabled(), PublicKeyPath: &text}
		},
	} {
		ng := api.NewManagedNodeGroup()
		set(ng.NodeGroupBase)
		if (nodegroup{managed: ng}).refused() == "" {
			t.Errorf("%s is not refused", path)
		}
		if !slices.ContainsFunc(inventory(t), func(e entry) bool { return e.path == "managedNodeGroups[]."+path && e.class == refused }) {
			t.Errorf("the inventory does not call %s refused", path)
		}
	}
}

// TestClusterSteps: every field of the cluster that can change has one step, every step has a field, and an UpdateClusterConfig
// says one aspect only, the one in which DescribeCluster tells the field.
func TestClusterSteps(t *testing.T) {
	t.Parallel()
	cfg := mustLoad(t, fleet)
	w := worldOf(t, cfg)
	diff := comparison{next: gitops.Tree{"accessConfig": gitops.Tree{"authenticationMode": "API"}}}
	steps := map[string]step{}
	for _, s := range clusterSteps() {
		steps[s.name] = s
		if !slices.ContainsFunc(clusterFields(), func(f clusterField) bool { return f.by == s.name }) {
			t.Errorf("%s changes nothing", s.name)
		}
	}
	for _, f := range clusterFields() {
		s, ok := steps[f.by]
		if ok != (f.by != "") {
			t.Errorf("%v is changed by %s, which is no step", f.path, f.by)
		}
		if s.aspect == nil {
			continue
		}
		in := &eks.UpdateClusterConfigInput{}
		s.aspect(in, cfg, w, diff)
		var said []string
		for member, v := range treeOf(in).(gitops.Tree) {
			if v != nil {
				said = append(said, member)
			}
		}
		if len(said) != 1 || said[0] != memberPath(f.seen)[0] {
			t.Errorf("%v is seen as %s, and changed as %v", f.path, f.seen, said)
		}
	}
}

// TestClusterFieldsAgainstModel holds the table to EKS's own model: what UpdateClusterConfig takes is changed by it, and all
// that it takes is accounted for.
func TestClusterFieldsAgainstModel(t *testing.T) {
	t.Parallel()
	told, taken := modelcheck.Members(t, "eks", "Cluster"), modelcheck.Members(t, "eks", "UpdateClusterConfigRequest")
	if told == nil {
		return // there are no models, as the log says
	}
	left := map[string]string{
		"name": "the cluster", "clientRequestToken": "of the request", "resourcesVpcConfig.controlPlaneEgressMode": "eksctl has no field",
		"kubernetesNetworkConfig.serviceIpv4Cidr": "of CreateCluster, which has the same shape", "kubernetesNetworkConfig.ipFamily": "of CreateCluster, which has the same shape",
		"storageConfig.blockStorage.enabled": "goes with computeConfig.enabled", "kubernetesNetworkConfig.elasticLoadBalancing.enabled": "goes with computeConfig.enabled",
	}
	named := func(member string) func(clusterField) bool {
		return func(f clusterField) bool { return f.seen != "" && covers(f.seen, member) }
	}
	for _, f := range clusterFields() {
		if f.seen == "" {
			continue
		}
		if !slices.ContainsFunc(told, func(member string) bool { return covers(f.seen, member) }) {
			t.Errorf("%v: EKS tells no %s", f.path, f.seen)
		}
		takes := left[f.seen] == "" && slices.ContainsFunc(taken, func(member string) bool { return covers(f.seen, member) })
		if changes := strings.HasPrefix(f.by, "eks:UpdateClusterConfig"); takes != changes {
			t.Errorf("%v: UpdateClusterConfig takes %s: %v, and the table says %q", f.path, f.seen, takes, f.by)
		}
	}
	for _, member := range taken {
		if left[member] == "" && !slices.ContainsFunc(clusterFields(), named(member)) {
			t.Errorf("UpdateClusterConfig takes %s, and nothing says what that is", member)
		}
	}
	for member := range left {
		if !slices.Contains(taken, member) {
			t.Errorf("UpdateClusterConfig does not take %s", member)
		}
	}
}

// inventoryPage is the page that shows the inventory.
const inventoryPage = "../../docs/eks.md"

// TestInventoryPage: the page says what the inventory says.
func TestInventoryPage(t *testing.T) {
	t.Parallel()
	got := sheet(inventory(t))
	if *update {
		if err := os.WriteFile(inventoryPage, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	body, err := os.ReadFile(inventoryPage)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(body), got); diff != "" {
		t.Errorf("%s differs (-want +got; run with -update to accept):\n%s", inventoryPage, diff)
	}
}

// sheet shows the inventory as Markdown, one table per part of the file.
func sheet(all []entry) string {
	var out strings.Builder
	out.WriteString(`# Every field of a ClusterConfig

What becomes of each field of eksctl's ClusterConfig (` + "`eksctl.io/v1alpha5`" + `, eksctl 0.225.0). This page is generated from the tables that the
engine works with (` + "`go test ./pkg/eks -run TestInventoryPage -update`" + `), and a test fails when eksctl's schema has a field that is not here. A field speaks
for all that is below it.

Only what a file says explicitly is compared. What it does not say is left as it is, be it eksctl's default or somebody's choice.

`)
	out.WriteString(strings.ReplaceAll(`A file that names neither "availabilityZones" nor "vpc.subnets" gets a cluster in the zones that its nodegroups name and the first others that
offer every instance type of these, three in all (two in us-east-1). When EKS refuses one of them ("UnsupportedAvailabilityZoneException"),
CloudFormation rolls the stack back; the next pass clears that away and makes the cluster in others that EKS offers, and says so ("OtherZones"). What
was refused is read from CloudFormation's events, so no process has to remember it; zones that refused come last for a week. Zones that a file
names, be it for a nodegroup alone, are never exchanged: the creation is held ("ZoneRefused") with the field, the zone and what EKS offers, until
git names others, or an hour is over.

An "instanceSelector" is resolved as eksctl does (exact vCPUs and memory, x86_64 unless it says otherwise, at most 40 types), when the nodegroup is
made: of the types that EC2 describes so ("ec2:DescribeInstanceTypes"), those that every zone of the nodegroup offers, by name. The plan shows them,
and the nodegroup and its stack have them from then on: a type that AWS brings out later changes nothing. Another selector replaces the
nodegroup only where types that it has do not fit it; the plan names these. Naming the types of a managed nodegroup in place of the selector that
chose them, or the other way round, changes nothing.

A nodegroup that eksctl made, or that is adopted, has no record of what it was made from. Its fields are read from EKS, its Auto Scaling group, its
launch template with the user data, and the template of its stack, and what git says otherwise replaces it. What of them nothing tells, in a plan
with such a nodegroup, is noted by the field ("NotManaged") where the file says it, and is no difference: an image that was chosen by name ("auto"),
and whatever user data says that eksctl did not write. What it has and no file says is noted, too ("Extra"), for a replacement would lose it; for
which version a self-managed one was made, the name of its image tells (ec2:DescribeImages; docs/upgrades.md). Of a nodegroup with a record, what can
be changed behind its back (an image, the metadata options, the Auto Scaling group's policies and target groups) is read from AWS all the same.

`, `"`, "`"))
	out.WriteString(`| changed by | means |
|---|---|
| a call | changed in place; what somebody else changes is taken back |
| *replacing* | another thing is made in its place, and what it replaces is drained and deleted: held until approved. Where AWS could change it in place, the note says why that is not done |
| *nothing* | it cannot change: a difference is an error, before anything is done |
| *(creation, compared)* | used when the cluster is made; a plan tells where the file says something else by now |
| *(creation)* | used when the thing is made; a later change is not noticed |
| *(creation, noted)* | used when the thing is made; every plan notes that later changes are not managed |
| *(not managed)* | neither set nor changed; every plan notes it |
| *(refused)* | an error |
| *(name)* | names the thing: another value is another thing |
| *(instruction)* | says how something is done; it is no state |
`)
	parts := map[string][]entry{}
	for _, e := range all {
		part, _, _ := strings.Cut(e.path, ".")
		part = strings.TrimSuffix(part, "[]")
		if !strings.Contains(e.path, ".") && !strings.HasSuffix(e.path, "[]") {
			part = "The rest"
		}
		parts[part] = append(parts[part], e)
	}
	for _, part := range slices.Sorted(maps.Keys(parts)) {
		heading := "`" + part + "`"
		if part == "The rest" {
			heading = part
		}
		fmt.Fprintf(&out, "\n## %s\n\n| field | observed from | changed by | note |\n|---|---|---|---|\n", heading)
		slices.SortFunc(parts[part], func(a, b entry) int { return strings.Compare(a.path, b.path) })
		for _, e := range parts[part] {
			fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", e.path, e.seen, e.becomes(), e.remarks())
		}
	}
	return out.String()
}

// becomes is the class in words.
func (e entry) becomes() string {
	return map[class]string{
		mutable: e.by, replaced: "*replacing*", immutable: "*nothing*", noticed: "*(creation, compared)*", settled: "*(creation)*", created: "*(creation, noted)*",
		unmanaged: "*(not managed)*", refused: "*(refused)*", naming: "*(name)*", steering: "*(instruction)*",
	}[e.class]
}
