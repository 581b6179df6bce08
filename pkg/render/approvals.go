package render

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// policy reads reconcile.yaml as written; what it means is plan's business.
func (f *folderReader) policy() {
	for _, wrong := range []string{"reconcile.yml", "reconcile.json"} {
		if _, err := fs.Stat(f.files, path.Join(f.cluster.Folder, wrong)); err == nil {
			f.fail(problem(gitops.PolicyInvalid, path.Join(f.cluster.Folder, wrong), 0, "it would not be read: the policy of a cluster is called %s", policyFile))
		}
	}
	file := path.Join(f.cluster.Folder, policyFile)
	body, err := fs.ReadFile(f.files, file)
	if err != nil {
		if !notThere(err) || broken(err) {
			f.fail(asPolicy(unreadable(file, err)))
		}
		return
	}
	docs, failed := documents(file, body)
	from := gitops.Origin{Position: gitops.Position{File: file, Line: 1}}
	item := policyItem(f.cluster.Name, from)
	switch {
	case failed != nil:
		f.fail(asPolicy(failed))
		return
	case len(docs) > 1:
		f.fail(problem(gitops.PolicyInvalid, file, docs[1].Line, "a second YAML document begins here: a policy is one"))
		return
	case len(docs) == 1:
		spec, p := read(file, gitops.PolicyInvalid, docs[0])
		if len(p.problems) > 0 {
			f.cluster.Problems = append(f.cluster.Problems, p.problems...)
			return
		}
		item.Spec, item.From.Line, item.From.Fields = spec, docs[0].Line, p.fields
	}
	f.cluster.Policy = &item
}

func policyItem(cluster string, from gitops.Origin) gitops.Item {
	return gitops.Item{Ref: gitops.Ref{Domain: gitops.EKS, Kind: "Policy", Namespace: cluster, Name: cluster}, Spec: gitops.Tree{}, From: from}
}

func asPolicy(e *gitops.Error) *gitops.Error {
	if e.Reason == gitops.RenderFailed {
		e.Reason = gitops.PolicyInvalid
	}
	return e
}

// approvals reads all files of the approvals folder. An approval that cannot be read holds the cluster: what a person meant to
// allow, or to take back, must not be guessed.
func (f *folderReader) approvals() {
	folder := path.Join(f.cluster.Folder, approvalFolder)
	for _, file := range f.yamlFiles(folder) {
		body, err := fs.ReadFile(f.files, file)
		if err != nil {
			f.fail(asPolicy(unreadable(file, err)))
			continue
		}
		a := readApproval(file, body)
		f.cluster.Problems = append(f.cluster.Problems, a.problems...)
		if len(a.problems) > 0 {
			continue
		}
		for id, at := range a.ids {
			// Files that approve the same add up: none takes back what another one allows.
			at.Most = max(at.Most, f.cluster.Approvals[id].Most)
			f.cluster.Approvals[id] = at
		}
		if a.ends != nil {
			f.ends = append(f.ends, *a.ends)
		}
	}
}

// readApproval reads one file of ids.
func readApproval(file string, body []byte) *approval {
	a := &approval{file: file, ids: map[gitops.Digest]gitops.Approval{}}
	docs, failed := documents(file, body)
	switch {
	case failed != nil:
		a.problems = append(a.problems, asPolicy(failed))
	case len(docs) == 0:
		a.fail(0, "the approval is empty: want changes: [ID...]")
	case len(docs) > 1:
		a.fail(docs[1].Line, "a second YAML document begins here: an approval is one")
	default:
		a.document(docs[0])
	}
	return a
}

func (a *approval) document(doc *yaml.Node) {
	spec, p := read(a.file, gitops.PolicyInvalid, doc)
	if a.problems = append(a.problems, p.problems...); len(a.problems) > 0 {
		return
	}
	for i := 0; i+1 < len(doc.Content); i += 2 {
		key, value := doc.Content[i], doc.Content[i+1]
		switch key.Value {
		case "plan":
			if value.Kind != yaml.ScalarNode {
				a.fail(key.Line, "plan must be the id of a plan")
			}
		case "changes":
			a.changes(value)
		case "concerns":
			a.concerns(value)
		case "cluster":
			a.end(key, maps.Clone(gitops.TreeAt(spec, "cluster")), p.fields)
		default:
			a.fail(key.Line, "unknown field %s: want plan, cluster, changes and concerns", key.Value)
		}
	}
	if !a.named {
		a.fail(doc.Line, "want changes: a list of ids")
	}
}

// approval is one file while it is read.
type approval struct {
	file     string
	ids      map[gitops.Digest]gitops.Approval
	named    bool // there are changes
	ends     *end // of a cluster
	problems []*gitops.Error
}

func (a *approval) fail(line int, format string, args ...any) {
	a.problems = append(a.problems, problem(gitops.PolicyInvalid, a.file, line, format, args...))
}

// end is what an approval says of the cluster whose end it approves, in the words of the files that leave with the folder: metadata of the
// ClusterConfig, as far as it takes to find the cluster, and of the policy how its AWS is reached. What else goes with it is said beside that.
type end struct {
	config gitops.Item
	policy *gitops.Item
	// logGroups says that what it logged goes, too.
	logGroups bool
}

func (a *approval) end(key *yaml.Node, said gitops.Tree, fields map[string]gitops.Position) {
	for name := range said {
		if !slices.Contains([]string{"name", "region", "aws", "logGroups"}, name) {
			a.fail(fields["cluster."+name].Line, "unknown field cluster.%s: want name, region, aws and logGroups", name)
		}
	}
	logs, isBool := said["logGroups"].(bool)
	if _, there := said["logGroups"]; there && !isBool {
		a.fail(fields["cluster.logGroups"].Line, "cluster.logGroups must be true or false")
	}
	metadata := gitops.Tree{}
	for _, name := range []string{"name", "region"} {
		if metadata[name] = gitops.StringAt(said, name); metadata[name] == "" {
			a.fail(key.Line, "cluster.%s must say which cluster ends", name)
		}
	}
	from := func(path, as string) gitops.Origin {
		out := gitops.Origin{Position: gitops.Position{File: a.file, Line: key.Line}, Fields: map[string]gitops.Position{}}
		for field, at := range fields {
			if rest, ok := strings.CutPrefix(field, path); ok && rest != ".logGroups" {
				out.Fields[as+rest] = at
			}
		}
		return out
	}
	a.ends = &end{config: configItem(gitops.Tree{"apiVersion": configVersion, "kind": configKind, "metadata": metadata}, from("cluster", "metadata")), logGroups: logs}
	if aws, ok := said["aws"]; ok {
		policy := policyItem(a.ends.config.Ref.Name, from("cluster.aws", "aws"))
		policy.Spec["aws"] = aws
		a.ends.policy = &policy
	}
}

func (a *approval) changes(list *yaml.Node) {
	for _, n := range items(list) {
		a.named = true
		a.add(n, 0)
	}
}

// concerns reads how many each approved concern may be about.
func (a *approval) concerns(m *yaml.Node) {
	if m.Kind != yaml.MappingNode {
		a.fail(m.Line, "concerns must be numbers by their ids")
		return
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		most, err := strconv.Atoi(m.Content[i+1].Value)
		if err != nil || most < 1 {
			a.fail(m.Content[i+1].Line, "a concern is approved up to a number, which is at least 1")
			continue
		}
		a.add(m.Content[i], most)
	}
}

func (a *approval) add(n *yaml.Node, most int) {
	id, err := changeID(n)
	if err != nil {
		a.fail(n.Line, "%w", err)
		return
	}
	a.ids[id] = gitops.Approval{Position: gitops.Position{File: a.file, Line: n.Line}, Most: most}
}

// changeID reads an id as it is written: one of digits only is a number to YAML, and one with an e in it may be too.
func changeID(n *yaml.Node) (gitops.Digest, error) {
	id := strings.ToLower(n.Value)
	if n.Kind != yaml.ScalarNode || !regexp.MustCompile(`^[0-9a-f]{16}$`).MatchString(id) {
		return "", errors.New("an id has 16 hexadecimal digits; a shorter one is not unique")
	}
	return gitops.Digest(id), nil
}
