package store

var turnTests, memoryTests, reposTests, auditTests []test
