//! Lake, state and pipeline of one home: what `up` and `ingest` have in common.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use weft_analytics::entity::Known;
use weft_analytics::incident::Decision;
use weft_ingest::Registry;
use weft_lake::{Lake, Recovery};
use weft_model::{Detector, Finding};

use crate::cli::Fault;
use crate::content::Content;
use crate::home::Home;
use crate::identity;
use crate::intel::Live;
use crate::pipeline::{Memory, Parts, Pipeline, Running, Writer};
use crate::queue::Queue;
use crate::state::{Sqlite, StateStore as _, incidents};

/// An open home whose pipeline does not run yet: it can be opened while content is compiled.
pub struct Site {
    state: Arc<Sqlite>,
    lake: Lake,
    recovery: Recovery,
    memory: Memory,
    decisions: Vec<Decision>,
    names: HashMap<String, String>,
}

impl Site {
    /// Opens the home.
    ///
    /// # Errors
    /// The home is in use or cannot be opened.
    pub async fn open(home: &Home) -> Result<Self, Fault> {
        home.create()?;
        let options = home.lake_options()?;
        let file = home.state_file();
        let (state, lake) = tokio::join!(Sqlite::open(&file), Lake::open(options));
        let (lake, recovery) = lake.map_err(Fault::failed)?;
        let state = Arc::new(state.map_err(Fault::failed)?);
        let kept = state.memory(lake.log_id(), lake.committed()).await.map_err(Fault::failed)?;
        let decisions = incidents::decisions(&*state).await?;
        let names = identity::names(home, &identity::decisions(&*state).await?)?;
        Ok(Self { memory: Memory::read(kept.as_deref()), state, lake, recovery, decisions, names })
    }
}

impl Site {
    /// Gives the rules what they need to know: where addresses are, what the last run remembered, and to
    /// analytics that know no history the past of the lake.
    ///
    /// # Errors
    /// The lake cannot be read.
    pub async fn taught(mut self, home: &Home, rules: &mut weft_analytics::Engine, content: &LoopContent) -> Result<Self, Fault> {
        crate::geo::equip(rules, home)?;
        self.memory.restore_to(rules);
        super::learn::from_lake(&self.lake, home, rules, content).await?;
        Ok(self)
    }
}

/// An open home whose pipeline runs.
pub struct Stand {
    /// Where doors put batches.
    pub queue: Queue,
    /// State.
    pub state: Arc<Sqlite>,
    /// Streams.
    pub registry: Arc<Registry>,
    /// Findings.
    pub findings: Option<tokio::sync::mpsc::Receiver<Finding>>,
    running: Running,
    writer: JoinHandle<()>,
    committer: JoinHandle<()>,
}

impl Stand {
    /// Opens the home, maps what the last run left, and starts the pipeline.
    ///
    /// # Errors
    /// The home is in use or cannot be opened.
    pub async fn open(home: &Home, registry: Arc<Registry>, detectors: Vec<Box<dyn Detector>>, entities: Known) -> Result<Self, Fault> {
        Self::start(Site::open(home).await?, home, registry, detectors, entities)
    }

    /// Starts the pipeline of an open home.
    ///
    /// # Errors
    /// The system has no thread for us.
    pub fn start(site: Site, home: &Home, registry: Arc<Registry>, detectors: Vec<Box<dyn Detector>>, mut entities: Known) -> Result<Self, Fault> {
        let Site { state, lake, recovery, memory, decisions, names } = site;
        entities.call(names);
        let workers = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let parts = Parts {
            lake,
            state: Arc::<Sqlite>::clone(&state),
            memory,
            mapping: Arc::new(home.mapper(Arc::clone(&registry))?),
            detectors,
            entities,
            decisions,
            intel: Live::open(&home.dir),
            lateness: Duration::from_secs(home.config.analytics.lateness_seconds),
            commit_every: Duration::from_secs(home.config.budget.commit_seconds),
            workers,
        };
        let mut running = Running::start(parts).map_err(Fault::failed)?;
        let (pipeline, work) = (running.pipeline.clone(), running.work.clone());
        // Findings of recovered frames may fill the channel, so nothing waits for the end of this.
        let recovered = tokio::task::spawn_blocking(move || {
            let frames = pipeline.recover(&recovery, &work);
            if frames > 0 {
                tracing::info!(frames, "mapped again what was not in the tables yet");
            }
        });
        drop(recovered);
        let queue = Queue::new(home.config.budget.queue);
        let writer = Writer::new(&running.pipeline, queue.clone(), running.work.clone()).map_err(Fault::failed)?;
        let writer = tokio::spawn(writer.run());
        let committer = tokio::spawn(running.pipeline.clone().commit_regularly());
        let findings = running.findings.take();
        Ok(Self { queue, state, registry, findings, running, writer, committer })
    }

    /// Everybody's handle.
    pub fn pipeline(&self) -> &Pipeline {
        &self.running.pipeline
    }

    /// Takes nothing more in, finishes what was taken, commits.
    ///
    /// # Errors
    /// A part ended early; nothing that was acknowledged is lost.
    pub async fn close(self) -> Result<(), Fault> {
        let pipeline = self.running.pipeline.clone();
        self.queue.close();
        self.writer.await.map_err(Fault::failed)?;
        // Workers may still wait to hand a finding on; its receiver must go on reading until here.
        let running = self.running;
        tokio::task::spawn_blocking(move || running.join()).await.map_err(Fault::failed)?;
        pipeline.conclude().await;
        pipeline.stop();
        self.committer.await.map_err(Fault::failed)?;
        pipeline.commit().await;
        Ok(())
    }
}

/// Splits compiled content into what the pipeline and what the loop needs.
pub fn rules_of(content: Content) -> (weft_analytics::Engine, LoopContent) {
    let Content { registry, mut rules, refused, pdp, playbooks, checks, metrics, entities, hunts, behaviours } = content;
    refused.iter().for_each(|line| crate::cli::say(line));
    let begun = std::time::Instant::now();
    rules.measure_with(Box::new(move || u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX)));
    (rules, LoopContent { registry, refused, pdp, playbooks, checks, metrics, entities, hunts, behaviours })
}

/// Content without the rules.
pub struct LoopContent {
    /// Streams.
    pub registry: Arc<Registry>,
    /// Rules that were left out, one line each.
    pub refused: Vec<String>,
    /// Decisions.
    pub pdp: weft_identity::decide::CedarPoint,
    /// Responses.
    pub playbooks: Vec<weft_response::Playbook>,
    /// Posture.
    pub checks: Vec<weft_policy::Check>,
    /// Measures.
    pub metrics: Vec<weft_assessment::Metric>,
    /// Who is nobody, and who matters how much.
    pub entities: weft_analytics::entity::Known,
    /// Hypotheses.
    pub hunts: crate::hunting::Hunts,
    /// Rule files with analytics of behaviour.
    pub behaviours: Vec<weft_analytics::RuleFile>,
}
