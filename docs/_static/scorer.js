// The order of search results: pages that explain something come before the pages of classes and functions,
// and those before their methods.
var Scorer = {
  objNameMatch: 4,
  objPartialMatch: 1,
  objPrio: { 0: 2, 1: 1, 2: 0 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
  score: (result) => {
    const [page, , , , score] = result;
    if (page.startsWith("reference/")) return score - 10;
    return ["changelog", "dependencies", "glossary"].includes(page) ? score - 4 : score;
  },
};
