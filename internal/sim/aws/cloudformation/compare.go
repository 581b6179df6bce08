package cloudformation

import (
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
)

// Change is one change of a change set.
type Change struct {
	Type           string
	ResourceChange ResourceChange
}

// ResourceChange says what happens to a resource.
type ResourceChange struct {
	PolicyAction       string `xml:"PolicyAction,omitempty"`
	Action             string
	LogicalResourceID  string                 `xml:"LogicalResourceId"`
	PhysicalResourceID string                 `xml:"PhysicalResourceId,omitempty"`
	ResourceType       string                 `xml:"ResourceType"`
	Replacement        string                 `xml:"Replacement,omitempty"`
	Scope              []string               `xml:"Scope>member"`
	Details            []ResourceChangeDetail `xml:"Details>member"`
	BeforeContext      string                 `xml:"BeforeContext,omitempty"`
	AfterContext       string                 `xml:"AfterContext,omitempty"`
}

// ResourceChangeDetail says which property changes, and why.
type ResourceChangeDetail struct {
	Target        ResourceTarget
	Evaluation    string
	ChangeSource  string
	CausingEntity string `xml:"CausingEntity,omitempty"`
}

// ResourceTarget is what changes of a resource.
type ResourceTarget struct {
	Attribute          string
	Name               string `xml:"Name,omitempty"`
	RequiresRecreation string
}

// comparison works out what an update would do before it is done.
type comparison struct {
	service *Service
	stack   *stack
	want    *target
	fresh   *template.Template
	old     *template.Template // nil for a stack that has none yet
	changes map[string]*Change
}

// compare lists what bringing the stack to want would change. differs tells that something changes besides resources.
func (s *Service) compare(st *stack, want *target) (changes []Change, differs bool, err error) {
	c := &comparison{service: s, stack: st, want: want, changes: map[string]*Change{}}
	if c.fresh, err = want.template(); err != nil {
		return nil, false, refused(err)
	}
	if st.Target.Body != "" {
		if c.old, err = st.Target.template(); err != nil {
			return nil, false, refused(err)
		}
	}
	if err := c.resources(); err != nil {
		return nil, false, refused(err)
	}
	for _, name := range slices.Sorted(maps.Keys(c.changes)) {
		changes = append(changes, *c.changes[name])
	}
	if c.old == nil {
		return changes, true, nil
	}
	differs = template.Canonical(c.old.Outputs) != template.Canonical(c.fresh.Outputs) || c.resumes()
	return changes, differs, nil
}

// resumes tells that an earlier operation stopped half-way (its rollback was disabled), so that the same template is still news.
func (c *comparison) resumes() bool {
	return strings.HasSuffix(c.stack.Status, "_FAILED")
}

func (c *comparison) resources() error {
	env := c.env()
	done := map[string]bool{}
	for len(done) < len(c.fresh.Resources) {
		for _, name := range slices.Sorted(maps.Keys(c.fresh.Resources)) {
			waits := slices.ContainsFunc(c.fresh.Dependencies(name), func(need string) bool { return !done[need] })
			if done[name] || waits {
				continue
			}
			done[name] = true
			if err := c.resource(env, name); err != nil {
				return err
			}
		}
	}
	for name, m := range c.stack.Members {
		present := false
		if r, ok := c.fresh.Resources[name]; ok {
			var err error
			if present, err = exists(env, r); err != nil {
				return err
			}
		}
		if !present && m.Status != "DELETE_COMPLETE" {
			action := ResourceChange{Action: "Remove", LogicalResourceID: name, PhysicalResourceID: m.PhysicalID, ResourceType: m.Type}
			if m.DeletionPolicy == "Retain" {
				action.PolicyAction = "Retain"
			}
			c.changes[name] = &Change{Type: "Resource", ResourceChange: action}
		}
	}
	return nil
}

// env answers with what is live, and with Unknown for what the update itself decides.
func (c *comparison) env() *template.Env {
	env := c.service.env(c.stack, c.fresh, c.want)
	live := *env
	env.Ref = func(logical string) (any, error) {
		change, ok := c.changes[logical]
		if ok && (change.ResourceChange.Action == "Add" || change.ResourceChange.Replacement != "False") {
			return template.Unknown{}, nil
		}
		return live.Ref(logical)
	}
	env.GetAtt = func(logical, attribute string) (any, error) {
		if _, ok := c.changes[logical]; ok {
			return template.Unknown{}, nil
		}
		return live.GetAtt(logical, attribute)
	}
	return env
}

func (c *comparison) resource(env *template.Env, name string) error {
	r := c.fresh.Resources[name]
	present, err := exists(env, r)
	if err != nil || !present {
		return err
	}
	properties, err := env.ResolveMap(r.Properties)
	if err != nil {
		return err
	}
	m := c.stack.Members[name]
	if m == nil || m.PhysicalID == "" || m.Status == "DELETE_COMPLETE" {
		c.changes[name] = &Change{Type: "Resource", ResourceChange: ResourceChange{Action: "Add", LogicalResourceID: name, ResourceType: r.Type}}
		return nil
	}
	if m.Type != r.Type {
		return &template.Error{Message: "Update of resource type is not permitted. The new template modifies resource type of the following resources: [" + name + "]"}
	}
	kind := c.service.types[r.Type]
	change := ResourceChange{Action: "Modify", LogicalResourceID: name, PhysicalResourceID: m.PhysicalID, ResourceType: r.Type, Replacement: "False"}
	c.properties(kind, m, properties, &change)
	if kind.Tagged && !maps.Equal(m.Tags, resourceTags(c.stack, c.want, name)) && !slices.Contains(change.Scope, "Tags") {
		change.Scope = append(change.Scope, "Tags")
		change.Details = append(change.Details, detail("Tags", "", "Never", "Static"))
	}
	if old, ok := c.oldResource(name); ok {
		if template.Canonical(old.Metadata) != template.Canonical(r.Metadata) {
			change.Scope = append(change.Scope, "Metadata")
			change.Details = append(change.Details, detail("Metadata", "", "Never", "Static"))
		}
		if template.Canonical(old.UpdatePolicy) != template.Canonical(r.UpdatePolicy) {
			change.Scope = append(change.Scope, "UpdatePolicy")
			change.Details = append(change.Details, detail("UpdatePolicy", "", "Never", "Static"))
		}
	}
	if len(change.Scope) > 0 {
		c.changes[name] = &Change{Type: "Resource", ResourceChange: change}
	}
	return nil
}

func (c *comparison) oldResource(name string) (template.Resource, bool) {
	if c.old == nil {
		return template.Resource{}, false
	}
	r, ok := c.old.Resources[name]
	return r, ok
}

// properties fills in which properties differ and whether that means a replacement.
func (c *comparison) properties(kind ResourceType, m *member, desired map[string]any, change *ResourceChange) {
	names := map[string]bool{}
	for name := range m.Properties {
		names[name] = true
	}
	for name := range desired {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if template.Same(m.Properties[name], desired[name]) {
			continue
		}
		evaluation := "Static"
		if template.HasUnknown(desired[name]) {
			evaluation = "Dynamic"
		}
		recreate := c.recreation(kind, m.Properties, desired, name, evaluation)
		attribute, shown := "Properties", name
		if name == "Tags" {
			attribute, shown = "Tags", ""
		}
		if !slices.Contains(change.Scope, attribute) {
			change.Scope = append(change.Scope, attribute)
		}
		d := detail(attribute, shown, recreate, evaluation)
		if evaluation == "Dynamic" {
			d.ChangeSource, d.CausingEntity = c.cause(change.LogicalResourceID, name)
		}
		change.Details = append(change.Details, d)
		switch {
		case recreate == "Always":
			change.Replacement = "True"
		case recreate == "Conditionally" && change.Replacement == "False":
			change.Replacement = "Conditional"
		}
	}
}

func (c *comparison) recreation(kind ResourceType, old, desired map[string]any, name, evaluation string) string {
	one := map[string]any{}
	maps.Copy(one, old)
	delete(one, name)
	if value, ok := desired[name]; ok {
		one[name] = value
	}
	if !replaces(kind, old, one) {
		return "Never"
	}
	if evaluation == "Dynamic" {
		return "Conditionally"
	}
	return "Always"
}

// cause names the reference through which a change elsewhere reaches a property.
func (c *comparison) cause(logical, property string) (source, entity string) {
	for _, ref := range template.References(c.fresh.Resources[logical].Properties[property]) {
		if _, changed := c.changes[ref.Name]; !changed {
			continue
		}
		if ref.Attribute == "" {
			return "ResourceReference", ref.Name
		}
		return "ResourceAttribute", ref.Name + "." + ref.Attribute
	}
	return "DirectModification", ""
}

func detail(attribute, name, recreate, evaluation string) ResourceChangeDetail {
	return ResourceChangeDetail{
		Target:     ResourceTarget{Attribute: attribute, Name: name, RequiresRecreation: recreate},
		Evaluation: evaluation, ChangeSource: "DirectModification",
	}
}
