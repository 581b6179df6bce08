package template

import (
	"maps"
	"slices"
	"strings"
)

// Types answers which attributes Fn::GetAtt may ask of a resource type; ok is false for a type nobody provides.
type Types func(name string) (attributes []string, ok bool)

// Check finds what CloudFormation refuses before it touches anything: unknown types, dangling references, unknown attributes
// and circular dependencies.
func (t *Template) Check(types Types) error {
	if err := t.checkTypes(types); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(t.Resources)) {
		r := t.Resources[name]
		if err := t.checkReferences(name, r); err != nil {
			return err
		}
		for _, v := range []any{r.Properties, r.UpdatePolicy, r.CreationPolicy} {
			if err := t.checkAttributes(v, types); err != nil {
				return err
			}
		}
	}
	if names := t.cycle(); names != nil {
		return refuse("Circular dependency between resources: [%s]", strings.Join(names, ", "))
	}
	return t.checkOutputs(types)
}

func (t *Template) checkTypes(types Types) error {
	unknown := map[string]bool{}
	for _, r := range t.Resources {
		if _, ok := types(r.Type); !ok {
			unknown[r.Type] = true
		}
	}
	if len(unknown) > 0 {
		return refuse("Template format error: Unrecognized resource types: [%s]", strings.Join(slices.Sorted(maps.Keys(unknown)), ", "))
	}
	return nil
}

func (t *Template) checkReferences(name string, r Resource) error {
	if r.Condition != "" && t.Conditions[r.Condition] == nil {
		return refuse("Template format error: Unresolved condition dependency %s in the Resources block of the template", r.Condition)
	}
	dangling := map[string]bool{}
	for _, need := range r.DependsOn {
		if _, ok := t.Resources[need]; !ok {
			dangling[need] = true
		}
	}
	for _, ref := range t.allReferences(r) {
		if ref.Attribute == "" && !t.defines(ref.Name) {
			dangling[ref.Name] = true
		}
	}
	if len(dangling) > 0 {
		return refuse("Template format error: Unresolved resource dependencies [%s] in the Resources block of the template", strings.Join(slices.Sorted(maps.Keys(dangling)), ", "))
	}
	policies := []string{"", "Delete", "Retain", "RetainExceptOnCreate", "Snapshot"}
	if !slices.Contains(policies, r.DeletionPolicy) {
		return refuse("Template format error: Unrecognized DeletionPolicy %s for resource %s", r.DeletionPolicy, name)
	}
	return nil
}

func (t *Template) allReferences(r Resource) []Reference {
	refs := References(r.Properties)
	refs = append(refs, References(r.UpdatePolicy)...)
	return append(refs, References(r.CreationPolicy)...)
}

func (t *Template) defines(name string) bool {
	_, resource := t.Resources[name]
	_, parameter := t.Parameters[name]
	return resource || parameter || strings.HasPrefix(name, "AWS::")
}

func (t *Template) checkAttributes(v any, types Types) error {
	for _, ref := range References(v) {
		if ref.Attribute == "" {
			continue
		}
		r, ok := t.Resources[ref.Name]
		if !ok {
			return refuse("Template error: instance of Fn::GetAtt references undefined resource %s", ref.Name)
		}
		attributes, _ := types(r.Type)
		if !slices.Contains(attributes, ref.Attribute) {
			return refuse("Template error: resource %s does not support attribute type %s in Fn::GetAtt", ref.Name, ref.Attribute)
		}
	}
	return nil
}

func (t *Template) checkOutputs(types Types) error {
	for _, name := range slices.Sorted(maps.Keys(t.Outputs)) {
		out := t.Outputs[name]
		for _, v := range []any{out.Value, out.ExportName} {
			for _, ref := range References(v) {
				if ref.Attribute == "" && !t.defines(ref.Name) {
					return refuse("Template format error: Unresolved resource dependencies [%s] in the Outputs block of the template", ref.Name)
				}
			}
			if err := t.checkAttributes(v, types); err != nil {
				return err
			}
		}
	}
	return nil
}

// Capabilities lists the capabilities that the template's resources demand ("CAPABILITY_IAM" or "CAPABILITY_NAMED_IAM"), and
// the reason CloudFormation gives for it.
func (t *Template) Capabilities() (capabilities []string, reason string) {
	names := map[string]string{
		"AWS::IAM::Role": "RoleName", "AWS::IAM::User": "UserName", "AWS::IAM::Group": "GroupName",
		"AWS::IAM::InstanceProfile": "InstanceProfileName", "AWS::IAM::ManagedPolicy": "ManagedPolicyName",
		"AWS::IAM::Policy": "", "AWS::IAM::AccessKey": "", "AWS::IAM::UserToGroupAddition": "",
	}
	found := map[string]bool{}
	capability := ""
	for _, r := range t.Resources {
		property, iam := names[r.Type]
		if !iam {
			continue
		}
		found[r.Type] = true
		if capability == "" {
			capability = "CAPABILITY_IAM"
		}
		if _, named := r.Properties[property]; named {
			capability = "CAPABILITY_NAMED_IAM"
		}
	}
	if capability == "" {
		return nil, ""
	}
	return []string{capability}, "The following resource(s) require capabilities: [" + strings.Join(slices.Sorted(maps.Keys(found)), ", ") + "]"
}

// Values are the effective parameter values: given ones, else previous ones where asked for, else defaults.
func (t *Template) Values(given map[string]string) (map[string]any, error) {
	var foreign, missing []string
	for name := range given {
		if _, ok := t.Parameters[name]; !ok {
			foreign = append(foreign, name)
		}
	}
	if len(foreign) > 0 {
		slices.Sort(foreign)
		return nil, refuse("Parameters: [%s] do not exist in the template", strings.Join(foreign, ", "))
	}
	values := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(t.Parameters)) {
		p := t.Parameters[name]
		text, ok := given[name]
		if !ok {
			if p.Default == nil {
				missing = append(missing, name)
				continue
			}
			text = *p.Default
		}
		if len(p.AllowedValues) > 0 && !slices.Contains(p.AllowedValues, text) {
			return nil, refuse("Parameter '%s' must be one of AllowedValues", name)
		}
		values[name] = parameterValue(p.Type, text)
	}
	if len(missing) > 0 {
		return nil, refuse("Parameters: [%s] must have values", strings.Join(missing, ", "))
	}
	return values, nil
}

func parameterValue(kind, text string) any {
	if kind != "CommaDelimitedList" && !strings.HasPrefix(kind, "List<") {
		return text
	}
	var list []any
	for item := range strings.SplitSeq(text, ",") {
		list = append(list, strings.TrimSpace(item))
	}
	return list
}
