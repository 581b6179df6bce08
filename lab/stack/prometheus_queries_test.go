package stack_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// query is an expression of a dashboard, a rule or the adapter.
type query struct{ where, expr string }

// queries checks that every query of dashboards and rules parses, and that each metric in it is served by a program that runs here,
// recorded by a rule, or listed in testdata/metrics with its source.
func (m *monitoring) queries(t *testing.T) {
	recorded, asked := recordedBy(t), slices.Concat(dashboardQueries(t), ruleQueries(t))
	served := m.served(t)
	listed := map[string]bool{} // true once it is needed
	for _, file := range metricLists(t) {
		for _, name := range names(t, file) {
			listed[name] = false
		}
	}
	for _, q := range asked {
		metrics, err := m.parse(t.Context(), q.expr)
		if err != nil {
			t.Errorf("%s: %v", q.where, err)
			continue
		}
		for name := range metrics {
			if _, ok := listed[name]; ok {
				listed[name] = true
			} else if !served[name] && !recorded[name] && name != "ALERTS" {
				t.Errorf("%s: nobody serves %s", q.where, name)
			}
		}
	}
	for name, needed := range listed {
		if !needed {
			t.Errorf("testdata/metrics lists %s, which no query names: take it off", name)
		}
	}
}

// served are the metrics of the real programs.
func (m *monitoring) served(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{"up": true}
	for _, address := range []string{m.operator, m.exporter, m.exporterSelf, m.prometheus, m.node} {
		text, err := fetch(t.Context(), "http://"+address+"/metrics")
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(out, metricNames(text))
	}
	text, err := m.Kube.Discovery().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(out, metricNames(string(text)))
	return out
}

// metricNames are the names in a text of metrics. A family that has no sample yet is announced all the same by some programs.
func metricNames(text string) map[string]bool {
	out := map[string]bool{}
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		switch {
		case len(fields) == 4 && fields[0] == "#" && fields[1] == "TYPE":
			out[fields[2]] = true
			if fields[3] == "histogram" || fields[3] == "summary" {
				out[fields[2]+"_sum"], out[fields[2]+"_count"], out[fields[2]+"_bucket"] = true, true, fields[3] == "histogram"
			}
		case len(fields) > 1 && fields[0] != "#":
			name, _, _ := strings.Cut(fields[0], "{")
			out[name] = true
		}
	}
	return out
}

func names(t *testing.T, file string) []string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] == "#" {
			continue
		}
		if len(fields) < 2 {
			t.Errorf("%s lists %s without its source", filepath.Base(file), fields[0])
		}
		out = append(out, fields[0])
	}
	return out
}

// parse lets Prometheus parse an expression and gives the metrics that it names.
func (m *monitoring) parse(ctx context.Context, expr string) (map[string]bool, error) {
	var tree any
	if err := m.ask(ctx, "/api/v1/parse_query?query="+url.QueryEscape(expr), &tree); err != nil {
		return nil, err
	}
	out := map[string]bool{}
	collect(tree, out)
	return out, nil
}

// collect walks a parsed expression.
func collect(node any, out map[string]bool) {
	switch node := node.(type) {
	case map[string]any:
		if node["type"] == "vectorSelector" || node["type"] == "matrixSelector" {
			if name, _ := node["name"].(string); name != "" {
				out[name] = true
			}
		}
		for _, child := range node {
			collect(child, out)
		}
	case []any:
		for _, child := range node {
			collect(child, out)
		}
	}
}

func recordedBy(t *testing.T) map[string]bool {
	t.Helper()
	out := map[string]bool{}
	for _, f := range ruleFiles(t) {
		for _, group := range f.Spec.Groups {
			for _, r := range group.Rules {
				out[r.Record] = true
			}
		}
	}
	return out
}

func ruleQueries(t *testing.T) []query {
	t.Helper()
	var out []query
	for _, f := range ruleFiles(t) {
		for _, group := range f.Spec.Groups {
			for _, r := range group.Rules {
				out = append(out, query{fmt.Sprintf("rules/%s: %s%s", f.name, r.Alert, r.Record), r.Expr})
			}
		}
	}
	return out
}

// dashboardQueries are those of all panels and variables, with values in the place of Grafana's own variables.
func dashboardQueries(t *testing.T) []query {
	t.Helper()
	files, err := filepath.Glob(monitoringFolder(t, "grafana", "dashboards", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no dashboards: %v", err)
	}
	labels := regexp.MustCompile(`^label_values\((.+), *\w+\)$`)
	var out []query
	for _, file := range files {
		var dashboard struct {
			Templating struct {
				List []struct {
					Name  string `json:"name"`
					Query struct {
						Query string `json:"query"`
					} `json:"query"`
				} `json:"list"`
			} `json:"templating"`
			Panels []struct {
				Title   string `json:"title"`
				Targets []struct {
					Expr string `json:"expr"`
				} `json:"targets"`
			} `json:"panels"`
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &dashboard); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		values := []string{"$__rate_interval", "5m"}
		where := "dashboards/" + filepath.Base(file) + ": "
		for _, variable := range dashboard.Templating.List {
			values = append(values, "$"+variable.Name, ".+")
			found := labels.FindStringSubmatch(variable.Query.Query)
			if found == nil {
				t.Errorf("%sthe variable %s asks %q", where, variable.Name, variable.Query.Query)
				continue
			}
			out = append(out, query{where + variable.Name, found[1]})
		}
		for _, panel := range dashboard.Panels {
			for _, target := range panel.Targets {
				out = append(out, query{where + panel.Title, target.Expr})
			}
		}
		for i := range out {
			if strings.HasPrefix(out[i].where, where) {
				out[i].expr = strings.NewReplacer(values...).Replace(out[i].expr)
			}
		}
	}
	return out
}
