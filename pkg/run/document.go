package run

import (
	"encoding/json"
	"fmt"

	"github.com/eks-gitops/reconciler/pkg/plan"
)

// stored has Record's fields without its methods, so that encoding does not recurse.
type stored Record

// document is the stored and printed form of a Record.
type document struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	stored
	// Results is always a list, also when it is empty.
	Results []Result `json:"results"`
}

// MarshalJSON gives the Record document (docs/schema/record.schema.json); its plan is a Plan document.
func (r Record) MarshalJSON() ([]byte, error) {
	results := r.Results
	if results == nil {
		results = []Result{}
	}
	return json.Marshal(document{APIVersion: plan.APIVersion, Kind: "Record", stored: stored(r), Results: results})
}

// UnmarshalJSON reads a Record document; fields that this version does not know are ignored.
func (r *Record) UnmarshalJSON(body []byte) error {
	var d document
	if err := json.Unmarshal(body, &d); err != nil {
		return fmt.Errorf("reading a Record document: %w", err)
	}
	if err := plan.CheckKind(d.APIVersion, d.Kind, "Record"); err != nil {
		return err
	}
	*r = Record(d.stored)
	if len(d.Results) > 0 {
		r.Results = d.Results
	}
	return nil
}

// envelope is one line of the event stream (--progress=json): the event's name and its fields.
type envelope struct {
	Event string          `json:"event"`
	Data  json.RawMessage `json:"data"`
}

// EncodeEvent gives an event as one line of JSON without the line's end: {"event":"settled","data":{...}}.
func EncodeEvent(e Event) ([]byte, error) {
	name, err := eventName(e)
	if err != nil {
		return nil, err
	}
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encoding event %s: %w", name, err)
	}
	return json.Marshal(envelope{Event: name, Data: data})
}

// DecodeEvent reads a line that EncodeEvent wrote.
func DecodeEvent(line []byte) (Event, error) {
	var e envelope
	if err := json.Unmarshal(line, &e); err != nil {
		return nil, fmt.Errorf("decoding an event: %w", err)
	}
	switch e.Event {
	case "fetched":
		return decode[Fetched](e.Data)
	case "heard":
		return decode[Heard](e.Data)
	case "planned":
		return decode[Planned](e.Data)
	case "started":
		return decode[Started](e.Data)
	case "progressed":
		return decode[Progressed](e.Data)
	case "settled":
		return decode[Settled](e.Data)
	case "finished":
		return decode[Finished](e.Data)
	}
	return nil, fmt.Errorf("decoding an event: unknown name %q", e.Event)
}

func decode[E Event](data []byte) (Event, error) {
	var e E
	if err := json.Unmarshal(data, &e); err != nil {
		return nil, fmt.Errorf("decoding an event: %w", err)
	}
	return e, nil
}

func eventName(e Event) (string, error) {
	switch e.(type) {
	case Fetched:
		return "fetched", nil
	case Heard:
		return "heard", nil
	case Planned:
		return "planned", nil
	case Started:
		return "started", nil
	case Progressed:
		return "progressed", nil
	case Settled:
		return "settled", nil
	case Finished:
		return "finished", nil
	}
	return "", fmt.Errorf("encoding event %T: not one of the sealed set", e)
}
