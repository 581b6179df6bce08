package chart

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"helm.sh/helm/v4/pkg/chart/common"
	v2 "helm.sh/helm/v4/pkg/chart/v2"
)

// validate checks values against the schemas of a chart and of the charts in it.
func validate(c *v2.Chart, values map[string]any) error {
	var all []error
	if c.Schema != nil {
		all = append(all, against(c, values))
	}
	for _, d := range c.Dependencies() {
		switch own := values[d.Name()].(type) {
		case nil:
		case map[string]any:
			all = append(all, validate(d, own))
		case common.Values:
			all = append(all, validate(d, own))
		default:
			all = append(all, fmt.Errorf("the values of %s: %w", d.Name(), errNoObject))
		}
	}
	if err := errors.Join(all...); err != nil {
		return errors.New(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

const schemaURL = "file:///values.schema.json"

func against(c *v2.Chart, values map[string]any) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the values.schema.json of %s cannot be used: %v", c.Name(), r)
		}
	}()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(c.Schema))
	if err != nil {
		return fmt.Errorf("the values.schema.json of %s: %w", c.Name(), err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(alone{})
	if err := compiler.AddResource(schemaURL, document); err != nil {
		return fmt.Errorf("the values.schema.json of %s: %w", c.Name(), err)
	}
	schema, err := compiler.Compile(schemaURL)
	if err != nil {
		return fmt.Errorf("the values.schema.json of %s: %w", c.Name(), err)
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(map[string]any(values)); errors.As(err, &invalid) {
		return fmt.Errorf("the values of %s do not fit its schema: %s", c.Name(), strings.Join(violations(invalid, nil), "; "))
	} else if err != nil {
		return err
	}
	return nil
}

// alone refuses everything that a schema refers to outside itself.
type alone struct{}

func (alone) Load(url string) (any, error) {
	// What Helm does with names it cannot resolve: anything fits.
	if strings.HasPrefix(url, "urn:") {
		return true, nil
	}
	return nil, fmt.Errorf("it refers to %s, and nothing outside the chart is read", url)
}

// violations says which fields are wrong and how, without the values that they have.
func violations(e *jsonschema.ValidationError, out []string) []string {
	// The validator goes through properties in the order of a map.
	causes := slices.Clone(e.Causes)
	slices.SortStableFunc(causes, func(a, b *jsonschema.ValidationError) int {
		return cmp.Or(slices.Compare(a.InstanceLocation, b.InstanceLocation), slices.Compare(a.ErrorKind.KeywordPath(), b.ErrorKind.KeywordPath()))
	})
	for _, cause := range causes {
		out = violations(cause, out)
	}
	if len(e.Causes) > 0 {
		return out
	}
	where := strings.Join(e.InstanceLocation, ".")
	if where == "" {
		where = "it"
	}
	how := "do not fit " + strings.Join(e.ErrorKind.KeywordPath(), ".")
	switch k := e.ErrorKind.(type) {
	case *kind.Type:
		how = fmt.Sprintf("is a %s; want %s", k.Got, strings.Join(k.Want, " or "))
	case *kind.Required:
		how = "lacks " + strings.Join(k.Missing, ", ")
	case *kind.AdditionalProperties:
		how = "has unknown fields: " + strings.Join(slices.Sorted(slices.Values(k.Properties)), ", ")
	case *kind.Enum:
		how = fmt.Sprintf("is none of %v", k.Want)
	case *kind.Pattern:
		how = "does not match " + k.Want
	case *kind.Minimum:
		how = "is less than " + k.Want.RatString()
	case *kind.Maximum:
		how = "is more than " + k.Want.RatString()
	case *kind.FalseSchema:
		how = "is not allowed"
	}
	return append(out, where+" "+how)
}

// secretsOf are the values whose names say that nobody may see them.
func secretsOf(values map[string]any) []string {
	telling := regexp.MustCompile(`(?i)pass(word|wd)?$|secret|token|credential|private|api[-_]?key|accesskey`)
	var out []string
	var walk func(key string, v any)
	walk = func(key string, v any) {
		switch v := v.(type) {
		case common.Values:
			walk(key, map[string]any(v))
		case map[string]any:
			for k, inner := range v {
				if !telling.MatchString(k) && telling.MatchString(key) {
					k = key
				}
				walk(k, inner)
			}
		case []any:
			for _, inner := range v {
				walk(key, inner)
			}
		case string:
			if len(v) > 3 && telling.MatchString(key) {
				out = append(out, v)
			}
		}
	}
	walk("", map[string]any(values))
	return out
}

// hush takes secrets out of an error's text.
func hush(err error, secrets []string) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, s := range secrets {
		text = strings.ReplaceAll(text, s, "***")
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}
