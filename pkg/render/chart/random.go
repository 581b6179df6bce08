package chart

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/Masterminds/sprig/v3"
	"helm.sh/helm/v4/pkg/chart/common"
	v2 "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/engine"
)

// chanceful are the functions whose results are not the same each time (https://masterminds.github.io/sprig/).
func chanceful() []string {
	return []string{
		"randAlpha", "randAlphaNum", "randAscii", "randNumeric", "randBytes", "randInt", "shuffle", "uuidv4",
		"genPrivateKey", "genCA", "genCAWithKey", "genSelfSignedCert", "genSelfSignedCertWithKey", "genSignedCert", "genSignedCertWithKey",
		"bcrypt", "htpasswd", "encryptAES", "now", "ago",
	}
}

// chance watches those functions.
type chance struct {
	own  template.FuncMap
	used bool
}

func newChance() *chance { return &chance{own: sprig.TxtFuncMap()} }

// How the functions behave.
type behaviour int

const (
	// counting ones note that they were called.
	counting behaviour = iota
	// shifting ones live more than a year later, on another day, hour, minute and second: what depends on the clock comes out differently.
	shifting
	// failing ones end the render where they are called.
	failing
)

const shift = (400*24+5)*time.Hour + 7*time.Minute + 11*time.Second

func (c *chance) functions(b behaviour) template.FuncMap {
	out := template.FuncMap{}
	for _, name := range chanceful() {
		own, ok := c.own[name]
		if !ok {
			continue
		}
		if b == failing {
			out[name] = func(...any) (any, error) { return nil, chanceError(name) }
			continue
		}
		f := reflect.ValueOf(own)
		out[name] = reflect.MakeFunc(f.Type(), func(in []reflect.Value) []reflect.Value {
			c.used = true
			call := f.Call
			if f.Type().IsVariadic() {
				call = f.CallSlice
			}
			results := call(in)
			if b == shifting {
				switch result := results[0].Interface().(type) {
				case time.Time:
					results[0] = reflect.ValueOf(result.Add(shift))
				case string:
					if name == "ago" {
						results[0] = reflect.ValueOf(result + "+" + shift.String())
					}
				}
			}
			return results
		}).Interface()
	}
	return out
}

// chanceError carries the name of a function through a template.
type chanceError string

func (e chanceError) Error() string { return "chance of " + string(e) }

// blame finds the call that makes templates come out differently: the first one in them.
func (c *Chart) blame(values common.Values, chance *chance, differ []string) error {
	only(c.chart, differ)
	_, err := engine.Engine{CustomTemplateFuncs: chance.functions(failing)}.Render(c.chart, values)
	where, function := differ[0], "a function"
	if err != nil {
		if m := regexp.MustCompile(`chance of (\w+)`).FindStringSubmatch(err.Error()); m != nil {
			function = m[1]
		}
		if all := places(err.Error()); len(all) > 0 {
			where = all[len(all)-1]
		}
	}
	return &Unstable{Place: where, Function: function}
}

// only takes all templates that make objects out of a chart, but some.
func only(c *v2.Chart, keep []string) {
	kept := c.Templates[:0:0]
	for _, t := range c.Templates {
		if full := path.Join(c.ChartFullPath(), t.Name); strings.HasPrefix(path.Base(full), "_") || slices.Contains(keep, full) {
			kept = append(kept, t)
		}
	}
	c.Templates = kept
	for _, d := range c.Dependencies() {
		only(d, keep)
	}
}

// Unstable is a chart that renders differently each time: its diff would never end.
type Unstable struct {
	// Place is the template and line of the call: "web/templates/secret.yaml:4".
	Place    string
	Function string
}

func (e *Unstable) Error() string {
	return fmt.Sprintf("%s: %s makes something else each time, so the chart would never be the same as what is live", e.Place, e.Function)
}

// places finds the templates with lines that an error names, the outermost first.
func places(message string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`([^\s():"]+/[^\s():"]+):(\d+)(?::\d+)?`).FindAllStringSubmatch(message, -1) {
		out = append(out, m[1]+":"+m[2])
	}
	return out
}

// explain says first where a template failed: in the innermost template that is named.
func explain(err error) error {
	if err == nil {
		return nil
	}
	message := err.Error()
	all := places(message)
	if len(all) == 0 {
		return err
	}
	lines := strings.Split(strings.TrimSpace(message), "\n")
	why := strings.TrimSpace(lines[len(lines)-1])
	if m := regexp.MustCompile(`^(?:execution|parse) error at \([^)]*\): (.*)$`).FindStringSubmatch(why); m != nil {
		why = m[1]
	} else if strings.HasPrefix(message, "parse error") {
		_, why, _ = strings.Cut(message, "): ")
	}
	text := all[len(all)-1] + ": " + why
	if len(all) > 1 && all[0] != all[len(all)-1] {
		text += " (by way of " + all[0] + ")"
	}
	return errors.New(text)
}
