package gate

import "testing"

func BenchmarkJudge(b *testing.B) {
	e := shipped(b)
	facts, uses := good(), goodUses()
	b.ReportAllocs()
	for b.Loop() {
		if v := e.Judge(b.Context(), facts, uses); v.State != Allow {
			b.Fatal(v)
		}
	}
}

func BenchmarkJudgeHundredChanges(b *testing.B) {
	e := shipped(b)
	facts, uses := good(), goodUses()
	for range 99 {
		facts.Changes = append(facts.Changes, facts.Changes[0])
	}
	b.ReportAllocs()
	for b.Loop() {
		if v := e.Judge(b.Context(), facts, uses); v.State != Allow {
			b.Fatal(v)
		}
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := New(); err != nil {
			b.Fatal(err)
		}
	}
}
