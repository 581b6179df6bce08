package eks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/weaveworks/eksctl/pkg/iam"
	"go.yaml.in/yaml/v3"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// authMap is the ConfigMap by which EKS lets in whom no access entry names (EKS user guide, "Grant IAM users access to Kubernetes with
// a ConfigMap"). Its data are lists written in YAML, which are edited node by node: entries that are not asked for, their order and
// the comments stay.
const authMap = "kube-system/aws-auth"

// editAuth is what people do about it by hand.
const editAuth = "kubectl -n kube-system edit configmap aws-auth"

// authList is one of the lists: its key in the data, and the member of an entry that says whom it is for. Accounts say it themselves.
type authList struct{ key, member string }

// authLists are all that there are.
func authLists() []authList {
	return []authList{{"mapRoles", "rolearn"}, {"mapUsers", "userarn"}, {"mapAccounts", ""}}
}

// listOf is the list for an ARN or an account.
func listOf(name string) authList {
	all := authLists()
	switch arn, err := iam.Parse(name); {
	case err != nil:
		return all[2]
	case arn.IsUser():
		return all[1]
	default:
		return all[0]
	}
}

// fault refuses a list that is not understood: writing it could lose what somebody else put there.
func (l authList) fault(format string, args ...any) error {
	e := gitops.Errorf(gitops.ObserveFailed, "ConfigMap %s, %s: %s: the list is not understood, and so not changed", authMap, l.key, fmt.Sprintf(format, args...))
	e.Try = editAuth
	return e
}

// parse reads the list; what is empty or absent has no entries. Every entry has to be understood.
func (l authList) parse(data map[string]string) (*yaml.Node, error) {
	doc, decoder := &yaml.Node{}, yaml.NewDecoder(strings.NewReader(data[l.key]))
	switch err := decoder.Decode(doc); {
	case errors.Is(err, io.EOF):
		return &yaml.Node{Kind: yaml.DocumentNode, Content: []*yaml.Node{{Kind: yaml.SequenceNode}}}, nil
	case err != nil:
		return nil, l.fault("%v", err)
	}
	if err := decoder.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return nil, l.fault("more than one YAML document")
	}
	list := doc.Content[0]
	if list.Kind == yaml.ScalarNode && list.Tag == "!!null" {
		list.Kind, list.Tag, list.Value = yaml.SequenceNode, "", ""
	}
	if list.Kind != yaml.SequenceNode {
		return nil, l.fault("line %d: not a list", list.Line)
	}
	for _, item := range list.Content {
		if l.name(item) == "" {
			return nil, l.fault("line %d: an entry without %s", item.Line, l.names())
		}
	}
	return doc, nil
}

func (l authList) names() string {
	if l.member == "" {
		return "an account"
	}
	return l.member
}

// name is whom an entry is for; empty for what is no entry.
func (l authList) name(item *yaml.Node) string {
	if l.member != "" {
		item = member(item, l.member)
	}
	if item == nil || item.Kind != yaml.ScalarNode {
		return ""
	}
	return item.Value
}

// member is a value of a mapping; nil where there is none.
func member(item *yaml.Node, key string) *yaml.Node {
	if item.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(item.Content); i += 2 {
		if item.Content[i].Value == key {
			return item.Content[i+1]
		}
	}
	return nil
}

// of tells whether an entry is for somebody. ARNs are compared as EKS does, which does not mind their case.
func (l authList) of(name string) func(*yaml.Node) bool {
	return func(item *yaml.Node) bool { return strings.EqualFold(l.name(item), name) }
}

// entries are those for somebody, in the file's words.
func (l authList) entries(list *yaml.Node, name string) (out []gitops.Tree) {
	is := l.of(name)
	for _, item := range list.Content {
		if is(item) {
			out = append(out, l.view(item))
		}
	}
	return out
}

// view is an entry in the file's words.
func (l authList) view(item *yaml.Node) gitops.Tree {
	if l.member == "" {
		return gitops.Tree{"account": item.Value}
	}
	var e struct {
		Username string
		Groups   []string
	}
	_ = item.Decode(&e) // members of another type say nothing, and so differ
	return mapped(l.name(item), e.Username, e.Groups)
}

// mapped is the form in which mappings of ARNs compare.
func mapped(arn, username string, groups []string) gitops.Tree {
	out := gitops.Tree{"arn": arn}
	if username != "" {
		out["username"] = username
	}
	if len(groups) > 0 {
		out["groups"] = sortedStrings(groups)
	}
	return out
}

// set makes an entry, or changes the one that counts, which is the last, and drops the others of that name.
func (l authList) set(list *yaml.Node, name, username string, groups []string) {
	is := l.of(name)
	var entry *yaml.Node
	for _, item := range slices.Backward(list.Content) {
		if is(item) {
			entry = item
			break
		}
	}
	list.Content = slices.DeleteFunc(list.Content, func(item *yaml.Node) bool { return item != entry && is(item) })
	switch {
	case entry == nil && l.member == "":
		list.Content = append(list.Content, text(name))
		return
	case entry == nil:
		entry = &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{text(l.member), text(name)}}
		list.Content = append(list.Content, entry)
	case l.member == "":
		return
	}
	var names []*yaml.Node
	for _, group := range groups {
		names = append(names, text(group))
	}
	setMember(entry, "username", text(username), username != "")
	setMember(entry, "groups", &yaml.Node{Kind: yaml.SequenceNode, Content: names}, len(names) > 0)
}

func text(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

// setMember gives a mapping a value, or takes it away.
func setMember(item *yaml.Node, key string, value *yaml.Node, wanted bool) {
	for i := 0; i+1 < len(item.Content); i += 2 {
		if item.Content[i].Value != key {
			continue
		}
		if wanted {
			item.Content[i+1] = value
		} else {
			item.Content = slices.Delete(item.Content, i, i+2)
		}
		return
	}
	if wanted {
		item.Content = append(item.Content, text(key), value)
	}
}

// edit changes one list of the data, and leaves the data as they are where the change fails, or where the result could not be read
// any more: an entry may be an anchor that others refer to.
func (l authList) edit(data map[string]string, change func(list *yaml.Node) error) error {
	doc, err := l.parse(data)
	if err != nil {
		return err
	}
	if err := change(doc.Content[0]); err != nil {
		return err
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(doc); err != nil {
		return l.fault("%v", err)
	}
	if _, err := l.parse(map[string]string{l.key: out.String()}); err != nil {
		return err
	}
	data[l.key] = out.String()
	return nil
}
