// Each function here composes the pipeline wrongly and must NOT compile; pipeline-order.test.ts checks that the compiler
// refuses every one of them on its own line. The last one is right, and must compile.

import type { Layers } from "../../../src/pipeline.ts";
import type { Arrived, Handler } from "../../../src/request.ts";

type L = Layers;

// prettier-ignore
export const wrong = {
  moneyBeforeIdentity: (l: L): Handler<Arrived> => l.audit(l.fund(l.identify(l.understand(l.replay(l.plan(l.keepOpen(l.tryEach(l.pace(l.unlock(l.send)))))))))),
  auditForgotten: (l: L): Handler<Arrived> => l.identify(l.understand(l.replay(l.plan(l.keepOpen(l.tryEach(l.pace(l.fund(l.unlock(l.send))))))))),
  identityForgotten: (l: L): Handler<Arrived> => l.audit(l.understand(l.replay(l.plan(l.keepOpen(l.tryEach(l.pace(l.fund(l.unlock(l.send))))))))),
  keyBeforeMoney: (l: L): Handler<Arrived> => l.audit(l.identify(l.understand(l.replay(l.plan(l.keepOpen(l.tryEach(l.pace(l.unlock(l.fund(l.send)))))))))),
  moneyForgotten: (l: L): Handler<Arrived> => l.audit(l.identify(l.understand(l.replay(l.plan(l.keepOpen(l.tryEach(l.pace(l.unlock(l.send))))))))),
  limitsForgotten: (l: L): Handler<Arrived> => l.audit(l.identify(l.understand(l.replay(l.plan(l.keepOpen(l.tryEach(l.fund(l.unlock(l.send))))))))),
  planBeforeUnderstanding: (l: L): Handler<Arrived> => l.audit(l.identify(l.plan(l.understand(l.keepOpen(l.tryEach(l.pace(l.fund(l.unlock(l.send))))))))),
  fallbackInsideMoney: (l: L): Handler<Arrived> => l.audit(l.identify(l.understand(l.replay(l.plan(l.pace(l.fund(l.keepOpen(l.tryEach(l.unlock(l.send)))))))))),
  repeatsForgotten: (l: L): Handler<Arrived> => l.audit(l.identify(l.understand(l.plan(l.keepOpen(l.tryEach(l.pace(l.fund(l.unlock(l.send))))))))),
  repeatsBeforeUnderstanding: (l: L): Handler<Arrived> => l.audit(l.identify(l.replay(l.understand(l.plan(l.keepOpen(l.tryEach(l.pace(l.fund(l.unlock(l.send)))))))))),
  lineForgotten: (l: L): Handler<Arrived> => l.audit(l.identify(l.understand(l.replay(l.plan(l.tryEach(l.pace(l.fund(l.unlock(l.send))))))))),
  lineBeforeThePlan: (l: L): Handler<Arrived> => l.audit(l.identify(l.understand(l.replay(l.keepOpen(l.plan(l.tryEach(l.pace(l.fund(l.unlock(l.send)))))))))),
  keyForgotten: (l: L): Handler<Arrived> => l.audit(l.identify(l.understand(l.replay(l.plan(l.keepOpen(l.tryEach(l.pace(l.fund(l.send))))))))),
};

export const right = (l: L): Handler<Arrived> =>
  l.audit(l.identify(l.understand(l.replay(l.plan(l.keepOpen(l.tryEach(l.pace(l.fund(l.unlock(l.send))))))))));
