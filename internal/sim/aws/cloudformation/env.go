package cloudformation

import (
	"maps"
	"slices"
	"strings"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
	"github.com/eks-gitops/reconciler/internal/sim/aws/wire"
)

// codeNoExport marks, inside the engine only, the import of an export that is not there.
const codeNoExport = "NoExport"

// env resolves a template against the stack's live resources.
func (s *Service) env(st *stack, t *template.Template, want *target) *template.Env {
	return &template.Env{
		Template:   t,
		Parameters: s.parameters(st, t, want),
		Ref: func(logical string) (any, error) {
			m := st.Members[logical]
			if m == nil || m.PhysicalID == "" {
				return nil, &template.Error{Message: "Template format error: Unresolved resource dependencies [" + logical + "] in the Resources block of the template"}
			}
			if m.Ref != "" {
				return m.Ref, nil
			}
			return m.PhysicalID, nil
		},
		GetAtt: func(logical, attribute string) (any, error) {
			m := st.Members[logical]
			if m == nil {
				return nil, &template.Error{Message: "Template error: instance of Fn::GetAtt references undefined resource " + logical}
			}
			s.refresh(st, m)
			value, ok := m.Attributes[attribute]
			if !ok {
				return nil, &template.Error{Message: "Attribute '" + attribute + "' does not exist"}
			}
			return value, nil
		},
		Import: s.importValue,
		Zones:  s.zonesOf,
	}
}

// refresh looks again at a resource that the running operation made or changed: what was made since may show in its attributes,
// as a VPC's IPv6 blocks do. Resources the operation left alone keep the values they were last seen with.
func (s *Service) refresh(st *stack, m *member) {
	if st.Op == nil {
		return
	}
	if at := st.Op.Steps[m.LogicalID]; at == nil || at.Verb == "" || at.Phase != stepDone {
		return
	}
	status, err := s.types[m.Type].Provider.Status(background(), s.resource(st, &m.physical))
	if err == nil && status.Phase == Ready {
		m.Ref, m.Attributes = status.Ref, status.Attributes
	}
}

func (s *Service) zonesOf(region string) []string {
	if region != s.world.Region || s.zones == nil {
		return nil
	}
	return s.zones()
}

// parameters are the effective parameters and the pseudo parameters. Values were checked when the target was accepted.
func (s *Service) parameters(st *stack, t *template.Template, want *target) map[string]any {
	values, err := t.Values(want.Parameters)
	if err != nil {
		values = map[string]any{}
	}
	notifications := []any{}
	for _, arn := range want.Notifications {
		notifications = append(notifications, arn)
	}
	maps.Copy(values, map[string]any{
		"AWS::AccountId": s.world.Account, "AWS::Partition": s.world.Partition, "AWS::Region": s.world.Region,
		"AWS::URLSuffix": s.world.DNSSuffix(), "AWS::StackName": st.Name, "AWS::StackId": st.ID, "AWS::NotificationARNs": notifications,
	})
	return values
}

// importValue answers Fn::ImportValue.
func (s *Service) importValue(name string) (any, error) {
	for _, st := range s.state.Stacks {
		for _, out := range st.Outputs {
			if out.ExportName == name {
				return out.OutputValue, nil
			}
		}
	}
	return nil, wire.Errorf(codeNoExport, "No export named %s found. Rollback requested by user.", name)
}

// imports lists the exports that the resources and outputs of t use.
func (s *Service) imports(st *stack, t *template.Template, want *target) []string {
	names := map[string]bool{}
	env := s.env(st, t, want)
	env.Import = func(name string) (any, error) {
		names[name] = true
		return s.importValue(name)
	}
	for name, r := range t.Resources {
		if m := st.Members[name]; m == nil || m.PhysicalID == "" {
			continue
		}
		_, _ = env.ResolveMap(r.Properties) // resolved before; here only the imports count
	}
	for _, out := range t.Outputs {
		_, _ = env.Resolve(out.Value)
	}
	return slices.Sorted(maps.Keys(names))
}

// importers lists the names of live stacks, other than st, that import the export.
func (s *Service) importers(st *stack, export string) []string {
	var names []string
	for _, other := range s.state.Stacks {
		if other == st || other.Status == "DELETE_COMPLETE" {
			continue
		}
		if slices.Contains(other.Imports, export) {
			names = append(names, other.Name)
		}
	}
	slices.Sort(names)
	return names
}

func (s *Service) outputs(st *stack, t *template.Template, want *target) ([]Output, error) {
	env := s.env(st, t, want)
	var outputs []Output
	for _, key := range slices.Sorted(maps.Keys(t.Outputs)) {
		declared := t.Outputs[key]
		if declared.Condition != "" {
			present, err := env.Condition(map[string]any{"Condition": declared.Condition})
			if err != nil {
				return nil, err
			}
			if !present {
				continue
			}
		}
		value, err := text(env, declared.Value)
		if err != nil {
			return nil, invalid("Template format error: Output %s is malformed. The Value field of every Outputs member must evaluate to a String.", key)
		}
		out := Output{OutputKey: key, OutputValue: value, Description: declared.Description}
		if declared.ExportName != nil {
			if out.ExportName, err = text(env, declared.ExportName); err != nil {
				return nil, invalid("Template format error: Output %s is malformed. The Name field of every Export member must evaluate to a String.", key)
			}
		}
		outputs = append(outputs, out)
	}
	return outputs, nil
}

func text(env *template.Env, v any) (string, error) {
	value, err := env.Resolve(v)
	if err != nil {
		return "", err
	}
	return template.Text(value)
}

// checkExports holds the rules of exports: names are unique in a region, and one that is imported neither goes nor changes.
func (s *Service) checkExports(st *stack, outputs []Output) error {
	values := map[string]string{}
	for _, out := range outputs {
		if out.ExportName == "" {
			continue
		}
		values[out.ExportName] = out.OutputValue
		for _, other := range s.state.Stacks { // at most one, since no two have an export of the same name
			if other != st && slices.ContainsFunc(other.Outputs, func(o Output) bool { return o.ExportName == out.ExportName }) {
				return invalid("Export with name %s is already exported by stack %s. Rollback requested by user.", out.ExportName, other.Name)
			}
		}
	}
	for _, old := range st.Outputs {
		users := s.importers(st, old.ExportName)
		if old.ExportName == "" || len(users) == 0 {
			continue
		}
		value, stays := values[old.ExportName]
		if !stays {
			return invalid("Export %s cannot be deleted as it is in use by %s", old.ExportName, strings.Join(users, ", "))
		}
		if value != old.OutputValue {
			return invalid("Export %s cannot be updated as it is in use by %s", old.ExportName, strings.Join(users, ", "))
		}
	}
	return nil
}
