package plan

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/eks-gitops/reconciler/pkg/gitops"
)

// APIVersion is the version of the documents that this program writes (docs/schema). Within a version fields are only added.
const APIVersion = "reconciler.eks-gitops.io/v1"

// document is the stored and printed form of a Plan.
type document struct {
	APIVersion string           `json:"apiVersion"`
	Kind       string           `json:"kind"`
	ID         gitops.Digest    `json:"id"`
	Cluster    string           `json:"cluster"`
	Revision   gitops.Revision  `json:"revision"`
	Complete   bool             `json:"complete"`
	Summary    Summary          `json:"summary"`
	Changes    []changeDocument `json:"changes"`
	Gates      []Gate           `json:"gates,omitempty"`
	Problems   []*gitops.Error  `json:"problems"`
}

// changeDocument fixes the order and the optional fields of a Change.
type changeDocument struct {
	ID        gitops.Digest    `json:"id"`
	Ref       gitops.Ref       `json:"ref"`
	Action    Action           `json:"action"`
	Why       string           `json:"why,omitempty"`
	Risk      Risk             `json:"risk"`
	Minutes   int              `json:"minutes,omitempty"`
	Lock      string           `json:"lock,omitempty"`
	Drift     bool             `json:"drift,omitempty"`
	Predicted bool             `json:"predicted,omitempty"`
	Edits     []Edit           `json:"edits"`
	Skipped   []gitops.Skipped `json:"skipped,omitempty"`
	Hold      *Hold            `json:"hold"`
	Concerns  []Concern        `json:"concerns,omitempty"`
	Approved  *gitops.Position `json:"approved,omitempty"`
	Needs     []gitops.Ref     `json:"needs"`
	From      gitops.Origin    `json:"from"`
}

// MarshalJSON gives the Plan document (docs/schema/plan.schema.json). It holds no object bodies: only what edits tell.
func (p Plan) MarshalJSON() ([]byte, error) {
	d := document{
		APIVersion: APIVersion, Kind: "Plan", ID: p.ID, Cluster: p.Cluster, Revision: p.Revision, Complete: p.Complete,
		Summary: p.Summary(), Changes: make([]changeDocument, 0, len(p.Changes)), Gates: p.Gates, Problems: some(p.Problems),
	}
	for _, c := range p.Changes {
		d.Changes = append(d.Changes, newChangeDocument(c))
	}
	return encode(d)
}

// UnmarshalJSON reads a Plan document; fields that this version does not know are ignored.
func (p *Plan) UnmarshalJSON(body []byte) error {
	var d document
	if err := json.Unmarshal(body, &d); err != nil {
		return fmt.Errorf("reading a Plan document: %w", err)
	}
	if err := CheckKind(d.APIVersion, d.Kind, "Plan"); err != nil {
		return err
	}
	*p = Plan{ID: d.ID, Cluster: d.Cluster, Revision: d.Revision, Complete: d.Complete, Unchanged: d.Summary.Unchanged, Gates: d.Gates, Problems: none(d.Problems)}
	for _, c := range d.Changes {
		p.Changes = append(p.Changes, c.change())
	}
	return nil
}

// MarshalJSON gives the change as it stands in a Plan document.
func (c Change) MarshalJSON() ([]byte, error) { return encode(newChangeDocument(c)) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *Change) UnmarshalJSON(body []byte) error {
	var d changeDocument
	if err := json.Unmarshal(body, &d); err != nil {
		return fmt.Errorf("reading a change: %w", err)
	}
	*c = d.change()
	return nil
}

func newChangeDocument(c Change) changeDocument {
	return changeDocument{
		ID: c.ID, Ref: c.Ref, Action: c.Action, Why: c.Why, Risk: c.Risk, Minutes: c.Minutes, Lock: c.Lock, Drift: c.Drift, Predicted: c.Predicted,
		Edits: some(c.Edits), Skipped: c.Skipped, Hold: c.Hold, Concerns: c.Concerns, Approved: c.Approved, Needs: some(c.Needs), From: c.From,
	}
}

func (d changeDocument) change() Change {
	return Change{
		ID: d.ID, Ref: d.Ref, Action: d.Action, Why: d.Why, Risk: d.Risk, Minutes: d.Minutes, Lock: d.Lock, Drift: d.Drift, Predicted: d.Predicted,
		Edits: none(d.Edits), Skipped: none(d.Skipped), Hold: d.Hold, Concerns: none(d.Concerns), Approved: d.Approved, Needs: none(d.Needs), From: d.From,
	}
}

// CheckKind refuses a document of another kind or of a version that this program does not read.
func CheckKind(apiVersion, kind, want string) error {
	if apiVersion != APIVersion || kind != want {
		return fmt.Errorf("reading a %s document: it says apiVersion %q, kind %q; want %q, %q", want, apiVersion, kind, APIVersion, want)
	}
	return nil
}

// some and none keep an empty list and no list apart on the two sides: documents always hold lists, values never empty ones.
func some[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func none[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

// encode writes JSON as people read it: "<" and "&" stay what they are.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
