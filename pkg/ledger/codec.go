package ledger

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/eks-gitops/reconciler/pkg/gitops"
	"github.com/eks-gitops/reconciler/pkg/plan"
	"github.com/eks-gitops/reconciler/pkg/run"
)

// inventoryDocument is the stored form of an Inventory.
type inventoryDocument struct {
	APIVersion string  `json:"apiVersion"`
	Kind       string  `json:"kind"`
	Cluster    string  `json:"cluster"`
	Entries    []entry `json:"entries"`
}

type entry struct {
	Ref gitops.Ref `json:"ref"`
	gitops.Entry
}

func encodeInventory(cluster string, inv gitops.Inventory) ([]byte, error) {
	d := inventoryDocument{APIVersion: plan.APIVersion, Kind: "Inventory", Cluster: cluster, Entries: make([]entry, 0, len(inv))}
	for ref, e := range inv {
		d.Entries = append(d.Entries, entry{ref, e})
	}
	slices.SortFunc(d.Entries, func(a, b entry) int { return a.Ref.Compare(b.Ref) })
	return pack(d)
}

func decodeInventory(blob []byte) (gitops.Inventory, error) {
	var d inventoryDocument
	if err := unpack(blob, &d); err != nil {
		return nil, err
	}
	if err := plan.CheckKind(d.APIVersion, d.Kind, "Inventory"); err != nil {
		return nil, err
	}
	inv := make(gitops.Inventory, len(d.Entries))
	for _, e := range d.Entries {
		inv[e.Ref] = e.Entry
	}
	return inv, nil
}

// encodeRecord packs a record into at most limit bytes, shortening what its edits show as far as needed. Changes, results
// and errors are never left out.
func encodeRecord(r run.Record, limit int) ([]byte, error) {
	r.Plan = scrub(r.Plan)
	for _, longest := range []int{-1, 4 << 10, 256, 0} {
		blob, err := pack(shorten(r, longest))
		if err != nil {
			return nil, err
		}
		if len(blob) <= limit || longest == 0 {
			return blob, nil
		}
	}
	return nil, errors.New("unreachable: the shortest form is always returned")
}

func decodeRecord(blob []byte) (run.Record, error) {
	var r run.Record
	if err := unpack(blob, &r); err != nil {
		return run.Record{}, err
	}
	return r, nil
}

// leftOut stands for a value that was too long to keep.
const leftOut = "‹too long to keep›"

// shorten replaces values of edits whose JSON is longer than the limit; a negative limit keeps all.
func shorten(r run.Record, limit int) run.Record {
	if limit < 0 {
		return r
	}
	fit := func(v any) any {
		if v == nil {
			return nil
		}
		if body, err := json.Marshal(v); err != nil || len(body) > limit {
			return leftOut
		}
		return v
	}
	return edited(r, func(_ gitops.Ref, e plan.Edit) plan.Edit {
		e.Before, e.After = fit(e.Before), fit(e.After)
		return e
	})
}

func edited(r run.Record, f func(gitops.Ref, plan.Edit) plan.Edit) run.Record {
	r.Plan.Changes = slices.Clone(r.Plan.Changes)
	for i, c := range r.Plan.Changes {
		edits := make([]plan.Edit, 0, len(c.Edits))
		for _, e := range c.Edits {
			edits = append(edits, f(c.Ref, e))
		}
		r.Plan.Changes[i].Edits = edits
	}
	return r
}

// pack is gzip over JSON. Its checksum is what tells a damaged blob from a whole one.
func pack(v any) ([]byte, error) {
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	if err := json.NewEncoder(zip).Encode(v); err != nil {
		return nil, err
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// greatest is the most that a blob may unpack to, so that a damaged one cannot take all memory.
const greatest = 256 << 20

func unpack(blob []byte, into any) error {
	zip, err := gzip.NewReader(bytes.NewReader(blob))
	if err != nil {
		return fmt.Errorf("unpacking: %w", err)
	}
	body, err := io.ReadAll(io.LimitReader(zip, greatest+1))
	switch {
	case err != nil:
		return fmt.Errorf("unpacking: %w", err)
	case len(body) > greatest:
		return fmt.Errorf("unpacking: more than %d bytes", greatest)
	}
	return json.Unmarshal(body, into)
}
