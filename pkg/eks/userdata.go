package eks

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/pelletier/go-toml"
	api "github.com/weaveworks/eksctl/pkg/apis/eksctl.io/v1alpha5"
	"github.com/weaveworks/eksctl/pkg/cloudconfig"
	"github.com/weaveworks/eksctl/pkg/nodebootstrap"
	"sigs.k8s.io/yaml"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// User data is read as eksctl writes it (pkg/nodebootstrap), in one of three forms:
//
//	MIME           AmazonLinux2023: a script per command, and documents for nodeadm; managed AmazonLinux2: scripts
//	cloud-config   Ubuntu and self-managed AmazonLinux2: commands, and files with what the kubelet gets
//	TOML           Bottlerocket: settings

// userDataTellers read the fields that only user data tells. Labels and taints of managed nodegroups EKS tells.
func userDataTellers() map[string]teller {
	out := map[string]teller{}
	for name := range strings.FieldsSeq("labels taints preBootstrapCommands overrideBootstrapCommand maxPodsPerNode clusterDNS kubeletExtraConfig containerRuntime bottlerocket") {
		out[name] = teller{
			of: func(s subject) any {
				if v, ok := s.booted()[name]; ok {
					return v
				}
				return untold{}
			},
			launch: name != "labels" && name != "taints", seen: "ec2:DescribeLaunchTemplateVersions",
			implied: name == "clusterDNS" || name == "containerRuntime" || name == "bottlerocket",
		}
	}
	return out
}

// booted is what user data says of a group's fields. One that is not in it is not told; one that is nil is not set.
func (s subject) booted() gitops.Tree {
	n := s.g.Nodegroup
	switch {
	case s.g.Launch != nil && aws.ToString(s.g.Launch.UserData) != "":
		out, err := s.decode(*s.g.Launch.UserData)
		if err != nil {
			return nil
		}
		for name := range strings.FieldsSeq("labels taints clusterDNS kubeletExtraConfig containerRuntime") {
			if s.g.Managed {
				delete(out, name) // EKS's matter
			}
		}
		return out
	case s.g.Managed && (s.g.Launch != nil || n != nil && n.LaunchTemplate == nil):
		return gitops.Tree{"preBootstrapCommands": nil, "overrideBootstrapCommand": nil, "maxPodsPerNode": nil, "bottlerocket": nil}
	}
	return nil
}

// decode tells the form of user data by how it begins.
func (s subject) decode(data string) (gitops.Tree, error) {
	body, err := base64.StdEncoding.DecodeString(data)
	switch {
	case err != nil:
		return nil, err
	case bytes.HasPrefix(body, []byte{0x1f, 0x8b}):
		config, err := cloudconfig.DecodeCloudConfig(data)
		if err != nil {
			return nil, err
		}
		return s.ofCloudConfig(config)
	case bytes.HasPrefix(body, []byte("MIME-Version:")):
		scripts, documents, err := parts(body)
		if err != nil {
			return nil, err
		}
		if len(documents) > 0 || s.family() == api.NodeImageFamilyAmazonLinux2023 {
			return s.ofDocuments(scripts, documents), nil
		}
		return s.ofScripts(scripts), nil
	}
	return ofSettings(body)
}

// family is that of the group's image or, where EKS does not tell it, the wanted one.
func (s subject) family() string {
	if v, known := liveFamily(s.g); known {
		family, _ := v.(string)
		return family
	}
	return s.want.base().AMIFamily
}

// parts are the scripts and the documents of a MIME message.
func parts(body []byte) (scripts []string, documents []gitops.Tree, err error) {
	message, err := mail.ReadMessage(bytes.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	_, kind, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		return nil, nil, err
	}
	for reader := multipart.NewReader(message.Body, kind["boundary"]); ; {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return scripts, documents, nil
		}
		if err != nil {
			return nil, nil, err
		}
		content, err := io.ReadAll(part)
		if err != nil {
			return nil, nil, err
		}
		switch kind, _, _ := strings.Cut(part.Header.Get("Content-Type"), ";"); kind {
		case "text/x-shellscript":
			scripts = append(scripts, string(content))
		case "application/node.eks.aws":
			document, err := yamlTree(content)
			if err != nil {
				return nil, nil, err
			}
			documents = append(documents, document)
		default:
			return nil, nil, errors.New("a part that eksctl does not write: " + kind)
		}
	}
}

func yamlTree(body []byte) (gitops.Tree, error) {
	body, err := yaml.YAMLToJSON(body)
	if err != nil {
		return nil, err
	}
	t, err := parseTree(body)
	if err != nil {
		return nil, err
	}
	t, _ = pruned(t).(gitops.Tree)
	return t, nil
}

// pruned is a document without what says nothing.
func pruned(v any) any {
	t, ok := v.(gitops.Tree)
	if !ok {
		return v
	}
	out := gitops.Tree{}
	for key := range t {
		if below := pruned(t[key]); !empty(below) {
			out[key] = below
		}
	}
	return out
}

// ofDocuments reads what nodeadm gets: a document that names the cluster, where the nodes do not get one from EKS, one for maxPodsPerNode,
// and the one that overrides the bootstrap. The last two look alike where that says nothing but the number of pods.
func (s subject) ofDocuments(scripts []string, documents []gitops.Tree) gitops.Tree {
	out := gitops.Tree{"maxPodsPerNode": nil, "overrideBootstrapCommand": nil, "containerRuntime": api.ContainerRuntimeContainerD, "bottlerocket": nil}
	var commands []string
	for _, script := range scripts {
		commands = append(commands, strings.TrimPrefix(script, "#!/bin/bash\n"))
	}
	out["preBootstrapCommands"] = exact{treeOf(commands)}
	for i, document := range documents {
		kubelet := gitops.TreeAt(document, "spec", "kubelet")
		config := gitops.Clone(gitops.TreeAt(kubelet, "config"))
		pods := config["maxPods"]
		switch {
		case i == 0 && gitops.StringAt(document, "spec", "cluster", "name") != "":
			dns, _ := config["clusterDNS"].([]any)
			out["clusterDNS"] = strings.Join(texts(dns), ",")
			delete(config, "clusterDNS")
			out["kubeletExtraConfig"] = exact{config}
			flags := texts(gitops.ListAt(kubelet, "flags"))
			out["labels"], out["taints"] = labelsOf(flagOf(flags, "--node-labels=")), taintsOf(flagOf(flags, "--register-with-taints="))
		case pods != nil && len(config) == 1 && len(kubelet) == 1 && len(gitops.TreeAt(document, "spec")) == 1 && out["maxPodsPerNode"] == nil:
			out["maxPodsPerNode"] = pods
			out["overrideBootstrapCommand"] = untold{}
		default:
			out["overrideBootstrapCommand"] = s.overriding(document)
		}
	}
	return out
}

func flagOf(flags []string, name string) string {
	for _, f := range flags {
		if v, ok := strings.CutPrefix(f, name); ok {
			return v
		}
	}
	return ""
}

// overriding is a document as git has it, where it says the same: eksctl writes it anew.
func (s subject) overriding(document gitops.Tree) any {
	if next, ok := s.next.(string); ok {
		probe := api.NewManagedNodeGroup()
		probe.OverrideBootstrapCommand = &next
		data, err := nodebootstrap.NewManagedAL2023Bootstrapper(s.c.full, probe, "").UserData()
		if err != nil {
			return untold{}
		}
		body, _ := base64.StdEncoding.DecodeString(data)
		if _, wanted, err := parts(body); err == nil && len(wanted) == 1 && equal(wanted[0], document) {
			return next
		}
	}
	body, err := yaml.Marshal(document)
	if err != nil {
		return untold{}
	}
	return string(body)
}

// podsLimit finds the number of pods in the script that eksctl writes for it (makeMaxPodsScript).
var podsLimit = regexp.MustCompile(`KUBELET_EXTRA_ARGS="\$2 --max-pods=(\d+)"`)

// ofScripts reads the scripts of managed AmazonLinux2: the commands, and the one that overrides the bootstrap or limits pods.
func (s subject) ofScripts(scripts []string) gitops.Tree {
	out := gitops.Tree{"maxPodsPerNode": nil, "bottlerocket": nil}
	overridden := s.want.base().OverrideBootstrapCommand != nil
	if n := len(scripts); n > 0 {
		if found := podsLimit.FindStringSubmatch(scripts[n-1]); found != nil {
			pods, _ := strconv.ParseInt(found[1], 10, 64)
			out["maxPodsPerNode"], scripts, overridden = pods, scripts[:n-1], false
		}
	}
	sayCommands(out, scripts, overridden)
	return out
}

// sayCommands divides commands: the last one is the one that overrides the bootstrap.
func sayCommands(out gitops.Tree, commands []string, overridden bool) {
	out["overrideBootstrapCommand"] = nil
	if n := len(commands); overridden && n > 0 {
		out["overrideBootstrapCommand"], commands = commands[n-1], commands[:n-1]
	}
	out["preBootstrapCommands"] = exact{treeOf(commands)}
}

// ofCloudConfig reads what Ubuntu and self-managed AmazonLinux2 get (linuxConfig): without the script that bootstraps a node, the last
// command does.
func (s subject) ofCloudConfig(config *cloudconfig.CloudConfig) (gitops.Tree, error) {
	out := gitops.Tree{"maxPodsPerNode": nil, "bottlerocket": nil}
	for _, file := range config.WriteFiles {
		switch path.Base(file.Path) {
		case "kubelet.env":
			sayEnvironment(out, file.Content)
		case "kubelet-extra.json":
			extra, err := parseTree([]byte(file.Content))
			if err != nil {
				return nil, err
			}
			out["kubeletExtraConfig"] = exact{extra}
		}
	}
	var commands []string
	overridden := true
	for _, command := range config.Commands {
		list, _ := command.([]any)
		words := texts(list)
		switch {
		case len(words) == 3 && words[0] == cloudconfig.Shell:
			commands = append(commands, words[2])
		case len(words) == 1 && path.Base(words[0]) != "bootstrap.helper.sh":
			overridden = false
		}
	}
	sayCommands(out, commands, overridden)
	return out, nil
}

func sayEnvironment(out gitops.Tree, content string) {
	env := map[string]string{}
	for line := range strings.Lines(content) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[key] = value
	}
	out["labels"], out["taints"] = labelsOf(env["NODE_LABELS"]), taintsOf(env["NODE_TAINTS"])
	out["clusterDNS"] = env["CLUSTER_DNS"]
	if runtime, ok := env["CONTAINER_RUNTIME"]; ok {
		out["containerRuntime"] = runtime
	}
	if pods, err := strconv.ParseInt(env["MAX_PODS"], 10, 64); err == nil {
		out["maxPodsPerNode"] = pods
	}
}

// ofSettings reads what Bottlerocket gets.
func ofSettings(body []byte) (gitops.Tree, error) {
	file, err := toml.LoadBytes(body)
	if err != nil {
		return nil, err
	}
	t, _ := treeOf(file.ToMap()).(gitops.Tree)
	settings := gitops.TreeAt(t, "settings")
	if settings == nil {
		return nil, errors.New("it says no settings")
	}
	kubernetes := gitops.TreeAt(settings, "kubernetes")
	var taints []string
	for key, v := range gitops.StringsAt(kubernetes, "node-taints") {
		taints = append(taints, key+"="+v)
	}
	return gitops.Tree{
		"preBootstrapCommands": nil, "overrideBootstrapCommand": nil, "maxPodsPerNode": kubernetes["max-pods"], "clusterDNS": kubernetes["cluster-dns-ip"],
		"labels": exact{ownLabels(gitops.StringsAt(kubernetes, "node-labels"))}, "taints": taintsOf(strings.Join(taints, ",")),
		"bottlerocket": gitops.Tree{"enableAdminContainer": gitops.TreeAt(settings, "host-containers", "admin")["enabled"], "settings": settings},
	}, nil
}

// labelsOf reads labels as the kubelet takes them: "a=b,c=d".
func labelsOf(list string) exact {
	labels := map[string]string{}
	for item := range strings.SplitSeq(list, ",") {
		if key, value, ok := strings.Cut(item, "="); ok {
			labels[key] = value
		}
	}
	return exact{ownLabels(labels)}
}

// taintsOf reads taints as the kubelet takes them: "a=b:NoSchedule".
func taintsOf(list string) exact {
	out := []any{}
	for item := range strings.SplitSeq(list, ",") {
		key, rest, ok := strings.Cut(item, "=")
		if !ok {
			continue
		}
		value, effect, _ := strings.Cut(rest, ":")
		taint := gitops.Tree{"key": key, "effect": effect}
		say(taint, "value", value)
		out = append(out, taint)
	}
	sortTaints(out)
	return exact{out}
}
