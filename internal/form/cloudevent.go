package form

import (
	"encoding/base64"
	"strings"

	"arbalest/internal/capture"
	"arbalest/internal/decode"
)

// The forms in which CloudEvents that are none are kept: one as JSON; one in
// binary mode, as headers, an empty line and the body; and a body of a batch.
const (
	formCloudEvent = "cloudevents"
	formCloudHTTP  = "cloudevents-http"
	formCloudBatch = "cloudevents-batch"
)

// structured returns the event of a JSON text that json.Valid takes.
func structured(raw []byte) capture.Foreign {
	if bad := object(raw); bad != nil {
		return capture.Foreign{Bad: bad, Raw: raw, Form: formCloudEvent}
	}
	var a attributes
	var data, data64 []byte
	var bad *capture.Refusal
	many := decode.Members(raw, func(key, value []byte) error {
		name := string(key)
		switch {
		case len(a.names) == maxMembers:
			return errMany
		case name == "data":
			data = value
		case isNull(value): // is as good as left out
		case name == "data_base64":
			data64 = value
		default:
			bad = firstOf(bad, firstOf(checkName(name), checkValue(name, value)))
			a.set(name, value)
		}
		return nil
	})
	if many != nil {
		bad = firstOf(bad, manyMembers())
	}
	properties, badData := structuredData(&a, data, data64)
	e := cloudEvent(&a, properties, firstOf(bad, firstOf(a.check(), badData)))
	if e.Form = formCloudEvent; e.Bad != nil {
		e.Raw = raw
	}
	return e
}

// structuredData returns the properties for the members data and data_base64.
func structuredData(a *attributes, data, data64 []byte) ([]byte, *capture.Refusal) {
	switch {
	case data64 == nil && data == nil:
		return nil, nil
	case data64 == nil:
		return jsonProperties(data), nil
	case data != nil:
		return nil, refusef(capture.BadForm, "there are both data and data_base64: send one of them")
	}
	s, ok := text(data64)
	b, err := base64.StdEncoding.DecodeString(s)
	if !ok || err != nil || strings.ContainsAny(s, "\r\n") {
		return nil, refusef(capture.BadData, "data_base64 is not a string in base64 (RFC 4648) with its padding")
	}
	return byteProperties(b, a.text("datacontenttype"))
}

// cloudEvent returns the event of checked attributes and properties, or says why
// it is none, for which bad may be known already.
func cloudEvent(a *attributes, properties []byte, bad *capture.Refusal) (e capture.Foreign) {
	var badName *capture.Refusal
	e.Name, badName = typeName(a.text("type"))
	if bad = firstOf(bad, badName); bad == nil {
		e.Time, bad = a.time()
	}
	if e.Bad = bad; bad != nil {
		return e
	}
	e.ID = sourceID(a.text("source"), a.text("id"))
	e.Data, e.Attributes = properties, a.json()
	if e.Time.IsZero() {
		e.Time, e.ByReceipt = ownTime(properties, a.text("id"))
	}
	return e
}

// firstOf returns the first of two refusals, either of which may be nil.
func firstOf(a, b *capture.Refusal) *capture.Refusal {
	if a != nil {
		return a
	}
	return b
}
