package template_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/eks-gitops/reconciler/internal/sim/aws/cloudformation/template"
)

// known are the types of these tests.
func known(name string) ([]string, bool) {
	return []string{"Arn", "Endpoint.Address"}, name == "T::A"
}

func parse(t *testing.T, body string) *template.Template {
	t.Helper()
	parsed, err := template.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func env(t *template.Template) *template.Env {
	return &template.Env{
		Template:   t,
		Parameters: map[string]any{"AWS::Region": "us-west-2", "AWS::StackName": "s", "P": "v", "List": []any{"a", "b"}, "N": 5.0},
		Ref:        func(logical string) (any, error) { return "ref-" + logical, nil },
		GetAtt:     func(logical, attribute string) (any, error) { return logical + "." + attribute, nil },
		Import: func(name string) (any, error) {
			if name == "s::x" {
				return "imported", nil
			}
			return nil, errors.New("no export " + name)
		},
		Zones: func(string) []string { return []string{"us-west-2a", "us-west-2b"} },
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	e := env(parse(t, `{"Conditions": {"Yes": {"Fn::Equals": [{"Ref": "P"}, "v"]}, "No": {"Fn::Not": [{"Condition": "Yes"}]}},
	  "Mappings": {"M": {"aws": {"EC2": "ec2.amazonaws.com"}}}, "Resources": {"A": {"Type": "T::A"}}}`))
	for _, tt := range []struct{ expression, want string }{
		{`{"Ref": "A"}`, `"ref-A"`},
		{`{"Fn::GetAtt": ["A", "Arn"]}`, `"A.Arn"`},
		{`{"Fn::GetAtt": "A.Endpoint.Address"}`, `"A.Endpoint.Address"`},
		{`{"Fn::Sub": "${AWS::StackName}-${A}-${A.Arn}-${!Literal}-${P}"}`, `"s-ref-A-A.Arn-${Literal}-v"`},
		{`{"Fn::Sub": ["${x}/${P}", {"x": {"Ref": "A"}}]}`, `"ref-A/v"`},
		{`{"Fn::Join": [",", ["a", {"Ref": "A"}, 3, true]]}`, `"a,ref-A,3,true"`},
		{`{"Fn::Join": ["-", {"Ref": "List"}]}`, `"a-b"`},
		{`{"Fn::Select": ["1", {"Fn::Split": [".", "x.y.z"]}]}`, `"y"`},
		{`{"Fn::FindInMap": ["M", "aws", "EC2"]}`, `"ec2.amazonaws.com"`},
		{`{"Fn::ImportValue": {"Fn::Sub": "${AWS::StackName}::x"}}`, `"imported"`},
		{`{"Fn::If": ["Yes", {"Ref": "A"}, 1]}`, `"ref-A"`},
		{`{"Fn::If": ["No", 1, {"Fn::Base64": "hi"}]}`, `"aGk="`},
		{`{"a": {"Fn::If": ["No", 1, {"Ref": "AWS::NoValue"}]}, "b": [{"Ref": "AWS::NoValue"}, 1]}`, `{"b":[1]}`},
		{`{"Fn::GetAZs": ""}`, `["us-west-2a","us-west-2b"]`},
		{`{"Fn::Cidr": ["192.168.0.0/16", 3, 13]}`, `["192.168.0.0/19","192.168.32.0/19","192.168.64.0/19"]`},
		{`{"Fn::Cidr": ["2600:1f18:1:2300::/56", "2", 64]}`, `["2600:1f18:1:2300::/64","2600:1f18:1:2301::/64"]`},
		{`{"Statement": [{"Effect": "Allow", "Condition": {"StringEquals": {"a": {"Ref": "P"}}}}]}`, `{"Statement":[{"Condition":{"StringEquals":{"a":"v"}},"Effect":"Allow"}]}`},
		{`{"Condition": {"StringEquals": "x"}}`, `{"Condition":{"StringEquals":"x"}}`},
	} {
		var expression any
		if err := json.Unmarshal([]byte(tt.expression), &expression); err != nil {
			t.Fatal(err)
		}
		got, err := e.Resolve(expression)
		if err != nil {
			t.Errorf("%s: %v", tt.expression, err)
			continue
		}
		if text := template.Canonical(got); text != tt.want {
			t.Errorf("%s is %s, want %s", tt.expression, text, tt.want)
		}
	}
}

func TestResolveErrors(t *testing.T) {
	t.Parallel()
	e := env(parse(t, `{"Conditions": {"Loop": {"Fn::Or": [{"Condition": "Loop"}, {"Condition": "Loop"}]}}, "Mappings": {"M": {"aws": {"EC2": "x"}}}, "Resources": {"A": {"Type": "T::A"}}}`))
	for expression, want := range map[string]string{
		`{"Ref": "Nobody"}`:                         "Unresolved resource dependencies [Nobody]",
		`{"Fn::GetAtt": ["Nobody", "Arn"]}`:         "instance of Fn::GetAtt references undefined resource Nobody",
		`{"Fn::FindInMap": ["M", "aws-cn", "EC2"]}`: "Unable to get mapping for M::aws-cn::EC2",
		`{"Fn::FindInMap": ["Z", "aws", "EC2"]}`:    "Mapping named 'Z' is not present",
		`{"Fn::Select": [5, ["a"]]}`:                "Fn::Select cannot select nonexistent value at index 5",
		`{"Fn::Join": ["-", "a"]}`:                  "every Fn::Join object requires two parameters",
		`{"Fn::Sub": "${List}"}`:                    "variable List in Fn::Sub expression does not resolve to a string",
		`{"Fn::Cidr": ["10.0.0.0/24", 3, 8]}`:       "cannot fit 3 blocks",
		`{"Fn::Cidr": ["10.0.0.0/24", 300, 2]}`:     "Fn::Cidr is malformed",
		`{"Fn::Nonsense": 1}`:                       "Unrecognized function Fn::Nonsense",
		`{"Fn::If": ["Loop", 1, 2]}`:                "Circular dependency for condition Loop",
		`{"Fn::If": ["Maybe", 1, 2]}`:               "Unresolved condition dependency Maybe",
		`{"Fn::ImportValue": "nothing"}`:            "no export nothing",
		`{"Fn::Split": ["", "abc"]}`:                "every Fn::Split object requires two parameters",
	} {
		var v any
		if err := json.Unmarshal([]byte(expression), &v); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Resolve(v); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", expression, err, want)
		}
	}
}

func TestUnknownSpreads(t *testing.T) {
	t.Parallel()
	e := env(parse(t, `{"Resources": {"A": {"Type": "T::A"}}}`))
	e.GetAtt = func(string, string) (any, error) { return template.Unknown{}, nil }
	for _, expression := range []any{
		map[string]any{"Fn::Sub": "x-${A.Arn}"},
		map[string]any{"Fn::Join": []any{"-", []any{"a", map[string]any{"Fn::GetAtt": "A.Arn"}}}},
		map[string]any{"Fn::Select": []any{0.0, []any{map[string]any{"Fn::GetAtt": "A.Arn"}}}},
	} {
		got, err := e.Resolve(expression)
		if err != nil || !template.HasUnknown(got) {
			t.Errorf("%v is %v, %v", expression, got, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		``:                         "Template format error: unsupported structure.",
		`{"Resources": {}}`:        "At least one Resources member must be defined.",
		"{\n  \"Resources\": }":    "JSON not well-formed. (line 2, column 16)",
		`{"Resources": {}} {}`:     "JSON not well-formed.",
		`{"Things": {}}`:           "Invalid template property or properties [Things]",
		`{"Resources": {"A": {}}}`: "[/Resources/A] Every Resources object must contain a Type member.",
		`{"Resources": {"A-b": {"Type": "T::A"}}}`:                          "Resource name A-b is non alphanumeric.",
		`{"Resources": {"A": {"Type": "T::A", "Propertys": {}}}}`:           "Invalid template resource property 'Propertys'",
		`{"Resources": {"A": {"Type": "T::A", "Properties": {"X": null}}}}`: "[/Resources/A/Properties/X] 'null' values are not allowed in templates",
		`{"AWSTemplateFormatVersion": "2020-01-01", "Resources": {}}`:       "unsupported value for AWSTemplateFormatVersion",
		`{"Resources": {"A": {"Type": "T::A"}}, "Outputs": {"O": {}}}`:      "Every Outputs member must contain a Value object",
		"Resources:\n  A: &x\n    Type: T::A\n  B: *x\n":                    "YAML aliases are not allowed",
		"just text": "unsupported structure",
		"Resources:\n  A:\n    Type: T::A\n  A:\n    Type: T::A\n": "YAML not well-formed",
	} {
		_, err := template.Parse(body)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", body, err, want)
		}
	}
}

func TestCheckErrors(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"Resources": {"A": {"Type": "T::B"}, "B": {"Type": "T::C"}}}`:                                                      "Unrecognized resource types: [T::B, T::C]",
		`{"Resources": {"A": {"Type": "T::A", "DependsOn": "X"}}}`:                                                           "Unresolved resource dependencies [X] in the Resources block",
		`{"Resources": {"A": {"Type": "T::A", "Properties": {"P": {"Ref": "X"}}}}}`:                                          "Unresolved resource dependencies [X] in the Resources block",
		`{"Resources": {"A": {"Type": "T::A", "Properties": {"P": {"Fn::GetAtt": ["A", "Size"]}}}}}`:                         "resource A does not support attribute type Size in Fn::GetAtt",
		`{"Resources": {"A": {"Type": "T::A", "Properties": {"P": {"Fn::Sub": "${X.Arn}"}}}}}`:                               "instance of Fn::GetAtt references undefined resource X",
		`{"Resources": {"A": {"Type": "T::A", "DependsOn": "B"}, "B": {"Type": "T::A", "Properties": {"P": {"Ref": "A"}}}}}`: "Circular dependency between resources: [A, B]",
		`{"Resources": {"A": {"Type": "T::A"}}, "Outputs": {"O": {"Value": {"Ref": "X"}}}}`:                                  "Unresolved resource dependencies [X] in the Outputs block",
		`{"Resources": {"A": {"Type": "T::A", "Condition": "C"}}}`:                                                           "Unresolved condition dependency C",
		`{"Resources": {"A": {"Type": "T::A", "DeletionPolicy": "Hide"}}}`:                                                   "Unrecognized DeletionPolicy Hide for resource A",
	} {
		if err := parse(t, body).Check(known); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v, want %q", body, err, want)
		}
	}
}

// TestYAMLMeansTheSame holds YAML's short forms to the JSON they stand for.
func TestYAMLMeansTheSame(t *testing.T) {
	t.Parallel()
	yaml := parse(t, `
AWSTemplateFormatVersion: 2010-09-09
Parameters:
  Size: {Type: Number, Default: 3}
Conditions:
  Big: !Equals [!Ref Size, 3]
Resources:
  A:
    Type: T::A
    DependsOn: B
    Properties:
      Name: !Sub "${AWS::StackName}-x"
      Arn: !GetAtt B.Endpoint.Address
      List: !If [Big, [1, 2.5], !Ref AWS::NoValue]
      Flag: true
      Text: "true"
  B:
    Type: T::A
Outputs:
  O:
    Value: !Join ["-", [!Ref A, !ImportValue x]]
`)
	same := parse(t, `{"AWSTemplateFormatVersion": "2010-09-09", "Parameters": {"Size": {"Type": "Number", "Default": 3}},
	  "Conditions": {"Big": {"Fn::Equals": [{"Ref": "Size"}, 3]}},
	  "Resources": {"A": {"Type": "T::A", "DependsOn": "B", "Properties": {"Name": {"Fn::Sub": "${AWS::StackName}-x"},
	    "Arn": {"Fn::GetAtt": ["B", "Endpoint.Address"]}, "List": {"Fn::If": ["Big", [1, 2.5], {"Ref": "AWS::NoValue"}]}, "Flag": true, "Text": "true"}},
	    "B": {"Type": "T::A"}},
	  "Outputs": {"O": {"Value": {"Fn::Join": ["-", [{"Ref": "A"}, {"Fn::ImportValue": "x"}]]}}}}`)
	if diff := cmp.Diff(same, yaml); diff != "" {
		t.Errorf("YAML differs (-json +yaml):\n%s", diff)
	}
	if needs := yaml.Dependencies("A"); !slices.Equal(needs, []string{"B"}) {
		t.Errorf("A needs %q", needs)
	}
	if imports := template.Imports(yaml.Outputs["O"].Value); !slices.Equal(imports, []string{"x"}) {
		t.Errorf("imports are %q", imports)
	}
}

func TestParameterValues(t *testing.T) {
	t.Parallel()
	p := parse(t, `{"Parameters": {"A": {"Type": "String"}, "B": {"Type": "CommaDelimitedList", "Default": "x, y"},
	  "C": {"Type": "String", "Default": "on", "AllowedValues": ["on", "off"]}}, "Resources": {"R": {"Type": "T::A"}}}`)
	values, err := p.Values(map[string]string{"A": "1"})
	if diff := cmp.Diff(map[string]any{"A": "1", "B": []any{"x", "y"}, "C": "on"}, values); diff != "" || err != nil {
		t.Errorf("values (-want +got):\n%s%v", diff, err)
	}
	for want, given := range map[string]map[string]string{
		"Parameters: [A] must have values":             {},
		"Parameters: [Z] do not exist in the template": {"A": "1", "Z": "2"},
		"Parameter 'C' must be one of AllowedValues":   {"A": "1", "C": "maybe"},
	} {
		if _, err := p.Values(given); err == nil || err.Error() != want {
			t.Errorf("error is %v, want %q", err, want)
		}
	}
}

func TestSame(t *testing.T) {
	t.Parallel()
	if !template.Same(map[string]any{"a": []any{1.0, true}}, map[string]any{"a": []any{"1", "true"}}) {
		t.Error("scalars that read the same differ")
	}
	for _, pair := range [][2]any{{1.0, 2.0}, {nil, ""}, {[]any{}, map[string]any{}}, {"a", []any{"a"}}, {template.Unknown{}, template.Unknown{}}} {
		if template.Same(pair[0], pair[1]) {
			t.Errorf("%v and %v are the same", pair[0], pair[1])
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"Resources": {"A": {"Type": "T::A", "Properties": {"P": {"Fn::Sub": "${A.Arn}${!x}"}}}}}`)
	f.Add("Resources:\n  A:\n    Type: T::A\n    Properties: {P: !Cidr [10.0.0.0/8, 256, 8]}\n")
	f.Add(`{"Conditions": {"A": {"Condition": "A"}}, "Resources": {"A": {"Type": "T::A", "Condition": "A"}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		parsed, err := template.Parse(body)
		if err != nil {
			if _, ok := errors.AsType[*template.Error](err); !ok {
				t.Errorf("error is a %T", err)
			}
			return
		}
		_ = parsed.Check(known)
		e := env(parsed)
		for name, r := range parsed.Resources {
			_ = parsed.Dependencies(name)
			if out, err := e.ResolveMap(r.Properties); err == nil {
				if again, err := json.Marshal(out); err != nil {
					t.Errorf("resolved properties are no JSON: %s, %v", again, err)
				}
			}
		}
	})
}
